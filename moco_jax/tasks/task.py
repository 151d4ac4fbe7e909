"""A task: dev and test questions, and what their answers are worth."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from moco_jax.tasks.items import Gold, Item, Score, Split
from moco_jax.tasks.judging import Judges
from moco_jax.tasks.sandbox import require_sandbox, run_programs
from moco_jax.tasks.scorers import scorer_for
from moco_jax.tasks.scoring import RunPrograms, score_items

__all__ = ["Gold", "Item", "Score", "Split", "Task", "score_items"]


@dataclass(frozen=True)
class Task:
    """A dataset with its prompts, its gold-free extractor and its scorer.

    Attributes:
        name: the file's name without its ending.
        kind: how answers are read and scored.
        dev: the split methods may learn from.
        test: the split only scoring may look into.
        source: path of the file.
        fingerprint: sha256 (hex) of the file's content, kind, ratio and template.
        left_out: rows per split that no answer could be scored against (their gold is null).
        allow_weak_sandbox: run programs even where the system gives no namespaces.
    """

    name: str
    kind: str
    dev: Split
    test: Split
    source: str
    fingerprint: str
    left_out: dict[str, int]
    allow_weak_sandbox: bool = False

    def ready(self) -> None:
        """Raises a ValueError that names what scoring needs and this machine lacks.

        To be called before a model answers anything: hours later is too late to hear it.
        """
        scorer = scorer_for(self.kind)
        scorer.ready()
        if scorer.programmed is not None and not self.allow_weak_sandbox:
            require_sandbox(gpu=scorer.programmed.gpu)

    def split(self, name: str) -> Split:
        """The split called `dev` or `test`."""
        if name == "dev":
            return self.dev
        if name == "test":
            return self.test
        raise ValueError(f"task {self.name!r} has no split {name!r}; its splits are dev and test")

    def items(self, split: str) -> tuple[Item, ...]:
        """The questions of a split, in file order."""
        return self.split(split).items

    def prompts(self, split: str) -> list[str]:
        """The user texts of a split, in file order."""
        return [item.prompt for item in self.items(split)]

    def extract(self, item: Item, text: str | None) -> str | None:
        """The answer an output gives, None where it gives none. Never looks at a gold."""
        return scorer_for(item.kind).extract(item, text or "")

    def canonical(self, item: Item, parsed: str) -> str:
        """One spelling per value of an extracted answer; votes compare this."""
        return scorer_for(item.kind).canonical(item, parsed)

    @property
    def runner(self) -> RunPrograms:
        """What runs programs that are answers, for whatever part of the task is scored."""
        return functools.partial(run_programs, allow_weak_sandbox=self.allow_weak_sandbox)

    def score(
        self,
        split: str,
        outputs: Sequence[str | None],
        indices: Sequence[int] | None = None,
        judges: Judges | None = None,
    ) -> list[Score]:
        """Scores outputs of a split.

        Args:
            split: `dev` or `test`.
            outputs: one text per item; None counts as empty.
            indices: positions in the split that `outputs` answer; None means all, in order.
            judges: models by role, for the kinds that one judges; see `judging.ROLES`.

        Returns:
            One score per output. Grouped items are judged as `score_items` says.

        Raises:
            ValueError: there is not exactly one output per item, an index is outside the split, or
                the kind needs a judge (or a tool) that there is not.
        """
        rows = self.split(split)
        if isinstance(outputs, str):
            raise ValueError(f"task {self.name!r}: outputs must be a list of texts, not one text")
        chosen = range(len(rows)) if indices is None else indices
        if len(chosen) != len(outputs):
            raise ValueError(
                f"task {self.name!r}: {len(outputs)} outputs for {len(chosen)} {split} items; "
                "pass one output per item, or `indices` naming the items answered"
            )
        outside = [index for index in chosen if not 0 <= index < len(rows)]
        if outside:
            raise ValueError(
                f"task {self.name!r}: index {outside[0]} is outside {split}, "
                f"which holds {len(rows)} items"
            )
        items = [rows.items[index] for index in chosen]
        golds = [rows.golds[index] for index in chosen]
        return score_items(items, golds, outputs, judges, self.runner)
