"""Small tasks made in memory, and the bench a method is fitted on."""

from collections.abc import Sequence
from typing import Any

from moco_jax.decoding.engine import Engine
from moco_jax.decoding.types import Sampling
from moco_jax.method import Method, TaskInfo, Workbench
from moco_jax.methods.helpers import Helpers
from moco_jax.pool import Pool
from moco_jax.tasks import Gold, Item, Judges, Score, Split, Task, score_items
from moco_jax.tasks.items import numbered
from moco_jax.tasks.scorers import scorer_for
from moco_jax.tasks.templates import TEMPLATES, option_lines, render

SHORT = Sampling(max_new_tokens=4)
"""Sampling that suits dummy members: the run's defaults, few tokens."""


def dummy_task(kind: str = "multiple_choice", size: int = 6) -> Task:
    """A task whose golds are among the answers that dummy members like to give.

    Args:
        kind: how answers are read and scored.
        size: items per split.

    Raises:
        ValueError: there is no such kind.
    """
    dev, test = (make_split(kind, name, _rows(kind, name, size)) for name in ("dev", "test"))
    return Task(
        name=f"dummy_{kind}",
        kind=kind,
        dev=dev,
        test=test,
        source="",
        fingerprint=f"dummy {kind} {size}",
        left_out={"dev": 0, "test": 0},
    )


def make_split(kind: str, name: str, rows: Sequence[dict[str, Any]]) -> Split:
    """Rows in the format of task files as items `name/0`, `name/1`, ... and golds."""
    pairs = [_read(kind, f"{name}/{index}", row) for index, row in enumerate(rows)]
    return Split(tuple(numbered(item for item, _ in pairs)), tuple(gold for _, gold in pairs))


def _read(kind: str, item_id: str, row: dict[str, Any]) -> tuple[Item, Gold]:
    content = scorer_for(kind).read(row)
    if content.gold is None:
        raise ValueError(f"row {item_id} has no gold answer; give it one")
    options = option_lines(content.choices)
    item = Item(
        id=item_id,
        prompt=render(TEMPLATES[kind], content.question, content.choices),
        question=f"{content.question}\n{options}" if options else content.question,
        choices=content.choices,
        kind=kind,
    )
    return item, content.gold


def _rows(kind: str, name: str, size: int) -> list[dict[str, Any]]:
    # A letter said often tells the items apart even for a member that only averages its prompt
    asked = [
        f"{name} {index}: {chr(97 + (5 * index + len(name)) % 26) * 30}?" for index in range(size)
    ]
    if kind == "multiple_choice":
        options = {"A": "red", "B": "green", "C": "blue"}
        return [
            {"question": text, "choices": options, "answer": "ABC"[index % 3]}
            for index, text in enumerate(asked)
        ]
    # What a kind does not know it leaves alone
    return [
        {"input": text, "output": "B1C2"[index % 4], "reference": [text, "A, B and C", text[::-1]]}
        for index, text in enumerate(asked)
    ]


def check(method: Method, pool: Pool, task: Task) -> None:
    """Refuses a method with a pool and a task, as a run does before it reads any weights.

    Raises:
        NeedsError: they do not go together.
    """
    infos = [member.info for member in pool]
    method.check(infos, TaskInfo.of(task))
    Helpers(infos).of(method)


def workbench(
    pool: Pool,
    dev: Split,
    *,
    engine: Engine | None = None,
    sampling: Sampling = SHORT,
    seed: int = 0,
    judges: Judges | None = None,
) -> Workbench:
    """What `Method.fit` works with.

    Args:
        pool: the members.
        dev: items with their golds.
        engine: a fresh `Engine` of this seed by default.
        sampling: how answers are drawn.
        seed: of the run.
    """

    def score(indices: Sequence[int], outputs: Sequence[str]) -> list[Score]:
        items = [dev.items[index] for index in indices]
        return score_items(items, [dev.golds[index] for index in indices], outputs, judges)

    return Workbench(
        pool=pool,
        engine=engine or Engine(seed=seed),
        sampling=sampling,
        seed=seed,
        dev=dev,
        scorer=score,
    )
