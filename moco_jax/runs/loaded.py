"""A finished run, loaded again to be asked."""

import collections
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from absl import logging

from moco_jax import methods
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.hooks import NoStore
from moco_jax.decoding.placement import Placement
from moco_jax.decoding.types import Response
from moco_jax.methods.registry import runs_new_code
from moco_jax.pool import Pool
from moco_jax.runs import directory as files
from moco_jax.runs import store
from moco_jax.runs.config import RunConfig
from moco_jax.runs.members import Members
from moco_jax.system import Context, System, restore_system
from moco_jax.tasks import Item
from moco_jax.tasks.asked import split_options
from moco_jax.tasks.templates import TEMPLATES, render


@dataclasses.dataclass(frozen=True)
class LoadedSystem:
    """A fitted collaboration and all it needs to answer; close it, or use it in a `with`.

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
    _asked: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter, repr=False, compare=False
    )

    def ask(self, questions: str | Item | Sequence[str | Item]) -> list[Response]:
        """Answers questions, in order.

        What is drawn for a question follows from its content, so that it is answered alike
        wherever it stands and whenever the run is loaded. Who asks the same again gets the next
        sample, as one who asks for several.

        Args:
            questions: texts, put as the run's task puts its own, or items, put as they are. One
                text is one question. In a multiple-choice task the options stand in the text, on
                lines such as `A) red`.

        Raises:
            ValueError: the system votes on multiple choice, and a text has no options.
        """
        several = [questions] if isinstance(questions, str | Item) else questions
        items = [one if isinstance(one, Item) else self._item(one) for one in several]
        return self.system.respond(items, self.context)

    def close(self) -> None:
        """Closes the store that finished answers are taken from; nothing can be asked then."""
        if isinstance(self.context.engine.store, store.SqliteStore):
            self.context.engine.store.close()

    def __enter__(self) -> "LoadedSystem":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _item(self, text: str) -> Item:
        question, choices = split_options(text) if self.kind == "multiple_choice" else (text, ())
        shown = question if "{choices}" in self.template else text
        prompt = render(self.template, shown, choices)
        item = Item(id="", prompt=prompt, question=question, choices=choices, kind=self.kind)
        content = item.content
        occurrence = self._asked[content]
        self._asked[content] += 1
        name = f"ask/{content[:10]}/{occurrence}"
        return dataclasses.replace(item, id=name, occurrence=occurrence)


def load_system(
    run_dir: str | pathlib.Path, pool: Pool | None = None, *, run_method_file: bool = False
) -> LoadedSystem:
    """Loads what a finished run fitted, on the run's mesh of devices where it is there.

    Answers that the run's store holds are taken from it.

    Args:
        run_dir: the run directory.
        pool: the run's pool, where it is loaded already or was made in memory; None loads it.
        run_method_file: run the file or module of the user's own that the run names as its method;
            without it only methods that are part of the package, installed as an entry point or
            loaded in this process are taken, since a run directory may come from anybody.

    Raises:
        FileNotFoundError: it is no run, or the run did not finish.
        ValueError: the pool is not the one the run was made with.
        PermissionError: the run names code that may not run.
    """
    place = pathlib.Path(run_dir)
    record = files.read_json(place / files.CONFIG)
    files.read_json(place / files.RESULT)
    config = RunConfig.from_record(record["config"])
    if not run_method_file:
        _refuse_code(place, config.method)
    # A method from a file of the user's has to be imported before its system can be restored.
    methods.resolve(config.method)
    system = restore_system(place / files.ARTIFACTS)
    placement = _placement(place, config.mesh)
    named = config.models if pool is None else pool
    loaded = Members(named, record["dtype"], placement).load(NoStore())
    _check(place, record, loaded)
    kept = place.parent / store.FILE_NAME
    engine = Engine(
        seed=config.seed,
        width=config.width,
        store=store.SqliteStore(kept) if kept.exists() else NoStore(),
        placement=placement,
    )
    kind = record["task"]["kind"]
    context = Context(loaded, engine, config.sampling, config.seed)
    return LoadedSystem(system, context, kind, config.prompt_template or TEMPLATES[kind])


def _refuse_code(place: pathlib.Path, method: str) -> None:
    """Raises PermissionError if to load the run would run code that is not ours.

    It is named as the method, and may be named by the system too.
    """
    system = files.read_json(place / files.ARTIFACTS / "system.json")
    named = [method, *_specs(system.get("fields"))]
    if not str(system.get("class", "")).startswith("moco_jax."):
        named.append(str(system.get("class", "")))
    for spec in filter(runs_new_code, named):
        raise PermissionError(
            f"{place} names code of its own, {spec}, which would run here; if you trust it, pass "
            "--run_method_file to moco ask, or run_method_file=True to load_system"
        )


def _specs(fields: Any) -> list[str]:
    spec = fields.get("spec") if isinstance(fields, dict) else None
    return [spec] if isinstance(spec, str) else []


def _placement(place: pathlib.Path, mesh: str | None) -> Placement:
    """The run's devices; one device, with a warning, where they are not there."""
    try:
        return Placement.of(mesh)
    except ValueError as error:
        logging.warning(
            "%s was run with mesh=%s, which cannot be had here (%s); one device answers, and the "
            "last digits of sums may differ",
            place,
            mesh,
            error,
        )
        return Placement()


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
