"""A finished run, loaded again to be asked."""

import dataclasses
import pathlib
from collections.abc import Sequence

from moco_jax import methods
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.hooks import NoStore
from moco_jax.decoding.types import Response
from moco_jax.pool import Pool
from moco_jax.runs import directory as files
from moco_jax.runs import store
from moco_jax.runs.config import RunConfig
from moco_jax.runs.members import Members
from moco_jax.system import Context, System, restore_system
from moco_jax.tasks import Item
from moco_jax.tasks.templates import TEMPLATES, render


@dataclasses.dataclass(frozen=True)
class LoadedSystem:
    """A fitted collaboration and all it needs to answer.

    Attributes:
        system: what the run fitted.
        context: its pool, engine, sampling and seed.
        kind: how answers are read, as in the run's task.
        template: what turns a question into a prompt, as in the run's task.
    """

    system: System
    context: Context
    kind: str
    template: str

    def ask(self, questions: Sequence[str | Item]) -> list[Response]:
        """Answers questions, in order.

        Args:
            questions: texts, put as the run's task puts its own (options stand in the text), or
                items, put as they are.
        """
        items = [
            question if isinstance(question, Item) else self._item(f"ask/{index}", question)
            for index, question in enumerate(questions)
        ]
        return self.system.respond(items, self.context)

    def _item(self, name: str, question: str) -> Item:
        prompt = render(self.template, question, ())
        return Item(id=name, prompt=prompt, question=question, choices=(), kind=self.kind)


def load_system(run_dir: str | pathlib.Path, pool: Pool | None = None) -> LoadedSystem:
    """Loads what a finished run fitted.

    Answers that the run's store holds are taken from it.

    Args:
        run_dir: the run directory.
        pool: the run's pool, where it is loaded already or was made in memory; None loads it.

    Raises:
        FileNotFoundError: it is no run, or the run did not finish.
        ValueError: the pool is not the one the run was made with.
    """
    place = pathlib.Path(run_dir)
    record = files.read_json(place / files.CONFIG)
    files.read_json(place / files.RESULT)
    config = RunConfig.from_record(record["config"])
    # A method from a file of the user's has to be imported before its system can be restored.
    methods.resolve(config.method)
    system = restore_system(place / files.ARTIFACTS)
    loaded = Members(config.models if pool is None else pool, record["dtype"]).load(NoStore())
    _check(place, record, loaded)
    kept = place.parent / store.FILE_NAME
    engine = Engine(
        seed=config.seed,
        width=config.width,
        store=store.SqliteStore(kept) if kept.exists() else NoStore(),
    )
    kind = record["task"]["kind"]
    context = Context(loaded, engine, config.sampling, config.seed)
    return LoadedSystem(system, context, kind, config.prompt_template or TEMPLATES[kind])


def _check(place: pathlib.Path, record: dict, pool: Pool) -> None:
    """Refuses members that are not those of the run."""
    members = record["members"]
    if len(members) != len(pool):
        raise ValueError(f"{place} was run with {len(members)} members; the pool has {len(pool)}")
    for before, now in zip(members, pool, strict=True):
        if before["identity"] != now.identity:
            raise ValueError(
                f"{now.name} is not the {before['name']} that {place} was run with: its weights, "
                "config or tokenizer changed; run the method again"
            )
