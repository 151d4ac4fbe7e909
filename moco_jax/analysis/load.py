"""Finished runs read from their files, whatever else lies in the folder."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from absl import logging

from moco_jax.runs import directory as files
from moco_jax.runs import naming
from moco_jax.runs.config import RunConfig
from moco_jax.runs.ledger import FIT, RESPOND
from moco_jax.runs.result import RunResult
from moco_jax.tasks import Task

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class LoadedRun:
    """A finished run's files.

    Attributes:
        directory: where they are.
        record: `config.json`.
        result: what the run found.
        answers: the method's answers, one row per test item.
        singles: every member's own answers, parallel to `answers`.
        helpers: the same of the models that the method uses beside the members, by name.
        transcripts: the turns behind each answer, parallel to `answers`.
        ledger: `ledger.json`.
    """

    directory: pathlib.Path
    record: dict[str, Any]
    result: RunResult
    answers: tuple[Row, ...]
    singles: dict[str, tuple[Row, ...]]
    helpers: dict[str, tuple[Row, ...]]
    transcripts: tuple[tuple[Row, ...], ...]
    ledger: dict[str, Any]

    @property
    def scores(self) -> tuple[float, ...]:
        """The method's score on every test item."""
        return tuple(row["score"] for row in self.answers)

    @property
    def best_single(self) -> tuple[float, ...]:
        """The score, on every test item, of the member that was best on dev."""
        return tuple(row["score"] for row in self.singles[self.result.best_single.name])

    def helper_scores(self, role: str) -> tuple[float, ...]:
        """The score, on every test item, of a helper alone; it may be a member."""
        name = self.result.helpers[role].name
        rows = self.helpers[name] if name in self.helpers else self.singles[name]
        return tuple(row["score"] for row in rows)

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.record["config"]["seed"]

    def cost(self, phase: str) -> dict[str, float]:
        """What a phase cost as if computed alone: tokens read, tokens written, FLOPs."""
        lines = [line["attributed"] for line in self.ledger["lines"] if line["phase"] == phase]
        names = ("prompt_tokens", "new_tokens", "flops")
        return {name: sum(line[name] for line in lines) for name in names}

    def fit_cost(self) -> dict[str, float]:
        """Cost of fitting, paid once."""
        return self.cost(FIT)

    def item_cost(self) -> dict[str, float]:
        """Cost of answering one item, on average."""
        return {name: total / len(self.answers) for name, total in self.cost(RESPOND).items()}


def load_run(directory: str | pathlib.Path) -> LoadedRun:
    """Reads one finished run.

    Raises:
        FileNotFoundError: it is no run, or the run did not finish.
        ValueError: its files do not fit together.
    """
    place = pathlib.Path(directory)
    result = files.read_json(place / files.RESULT)
    answers = files.read_lines(place / files.RESPONSES)
    ids = [row["id"] for row in answers]
    turns = {row["id"]: tuple(row["turns"]) for row in files.read_lines(place / files.TRANSCRIPTS)}
    beside = place / files.HELPERS
    try:
        return LoadedRun(
            directory=place,
            record=files.read_json(place / files.CONFIG),
            result=RunResult.from_record(result, place),
            answers=tuple(answers),
            singles=_by_model(files.read_lines(place / files.SINGLES), ids),
            helpers=_by_model(files.read_lines(beside) if beside.exists() else [], ids),
            transcripts=tuple(turns[key] for key in ids),
            ledger=files.read_json(place / files.LEDGER),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"the files in {place} do not fit together ({type(error).__name__}: {error}); "
            "they are of another version or were changed; run it again"
        ) from error


def _by_model(rows: Sequence[Row], ids: Sequence[str]) -> dict[str, tuple[Row, ...]]:
    """Rows of answers by who gave them, in the order of the items."""
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        found.setdefault(row["member"], {})[row["id"]] = row
    return {name: tuple(theirs[key] for key in ids) for name, theirs in found.items()}


def load_runs(folder: str | pathlib.Path) -> list[LoadedRun]:
    """Reads the finished run that `folder` is, or all that lie in it, by name.

    What is no run is passed over; a run whose files are damaged is reported in the log.

    Raises:
        FileNotFoundError: there is no finished run.
    """
    place = pathlib.Path(folder)
    if (place / files.RESULT).exists():
        return [load_run(place)]
    found, unfinished = files.find_runs(place)
    runs = [run for run in map(_tolerant, found) if run is not None]
    if not runs:
        hint = f"; {len(unfinished)} did not finish: start them again" if unfinished else ""
        raise FileNotFoundError(f"no finished run is in {place}{hint}")
    return runs


def _tolerant(directory: pathlib.Path) -> LoadedRun | None:
    try:
        return load_run(directory)
    except (ValueError, OSError) as error:
        logging.warning("left out %s: %s", directory, error)
        return None


def load_task_of(run: LoadedRun) -> Task | None:
    """The task a run was made on, for its gold answers.

    None where its file is gone or has changed since; the log says so.
    """
    try:
        config = RunConfig.from_record(run.record["config"])
        task = naming.make_task(config.task, config)
    except (ValueError, OSError) as error:
        logging.warning("the task of %s cannot be read again: %s", run.directory, error)
        return None
    if task.fingerprint != run.record["task"]["fingerprint"]:
        logging.warning(
            "task %s has changed since %s was run; its gold answers are not shown",
            task.name,
            run.directory,
        )
        return None
    return task
