"""Many runs, one table: methods by tasks, over seeds, sharing the pool and the store."""

import dataclasses
import functools
import itertools
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from absl import logging

from moco_jax.analysis import summary
from moco_jax.analysis.benches import Bench, sort_out
from moco_jax.analysis.load import load_run
from moco_jax.analysis.tables import printable
from moco_jax.decoding.placement import Placement
from moco_jax.decoding.types import Sampling
from moco_jax.method import Method, NeedsError, TaskInfo
from moco_jax.runs import naming
from moco_jax.runs.config import RunConfig
from moco_jax.runs.execution import execute
from moco_jax.runs.failures import failed
from moco_jax.runs.judges import AnyJudge, make_judges, names_of
from moco_jax.runs.members import Members
from moco_jax.runs.naming import AnyMethod, AnyPool
from moco_jax.runs.planning.settle import settle
from moco_jax.runs.processes import store_of
from moco_jax.runs.result import RunResult
from moco_jax.tasks import Task


@dataclasses.dataclass(frozen=True)
class Row:
    """One method on one task, over seeds.

    Attributes:
        method: its name.
        task: its name.
        results: one per seed that it finished.
        reason: why the pool or the task is not one that it can run on, or "".
        error: what went wrong while it ran and where, by the first seed that failed, or "".
    """

    method: str
    task: str
    results: tuple[RunResult, ...]
    reason: str = ""
    error: str = ""

    @property
    def mean(self) -> float:
        """Mean test score over seeds; nan without results."""
        scores = [result.score for result in self.results]
        return sum(scores) / len(scores) if scores else math.nan

    @property
    def spread(self) -> float:
        """Standard deviation of the score over seeds (n - 1); nan with fewer than two."""
        if len(self.results) < 2:
            return math.nan
        squares = [(result.score - self.mean) ** 2 for result in self.results]
        return math.sqrt(sum(squares) / (len(squares) - 1))

    def to_record(self) -> dict[str, Any]:
        """A JSON-able record; numbers that do not exist are null."""
        return {
            "method": self.method,
            "task": self.task,
            "mean": None if math.isnan(self.mean) else self.mean,
            "spread": None if math.isnan(self.spread) else self.spread,
            "reason": self.reason,
            "error": self.error,
            "results": [result.to_record() for result in self.results],
        }

    def __str__(self) -> str:
        missing = self.reason or self.error
        score = f" {self.mean:.3f} over {len(self.results)} seed(s)" if self.results else ""
        return f"{self.method} on {self.task}:{score}{' ' if missing else ''}{missing}"


@dataclasses.dataclass(frozen=True)
class Table:
    """What came of a comparison. Printed, it is the table of `moco compare` and `moco report`.

    Attributes:
        rows: in the order of tasks, then methods.
    """

    rows: tuple[Row, ...]

    @functools.cached_property
    def benches(self) -> list[Bench]:
        """The runs, read from their files, sorted by what compares."""
        return sort_out([load_run(result.directory) for row in self.rows for result in row.results])

    @property
    def not_run(self) -> list[summary.NotRun]:
        """What could not run or failed, and why."""
        return [
            summary.NotRun(row.task, row.method, row.reason or row.error, bool(row.error))
            for row in self.rows
            if row.reason or row.error
        ]

    def __str__(self) -> str:
        table = summary.render(self.benches, "text", self.not_run)
        return f"{table}\n{printable(summary.notes(self.benches))}"

    def to_record(self) -> list[dict[str, Any]]:
        """A JSON-able record."""
        return [row.to_record() for row in self.rows]


def compare(
    methods: AnyMethod | Sequence[AnyMethod],
    pool: AnyPool,
    tasks: str | Task | Sequence[str | Task],
    seeds: int | Sequence[int] = (RunConfig.seed,),
    *,
    sampling: Sampling | None = None,
    out: str | pathlib.Path = RunConfig.out,
    batch_size: int | Literal["auto"] = RunConfig.batch_size,
    ratio: float = RunConfig.ratio,
    dtype: str | None = None,
    offload: bool = False,
    mesh: str | None = None,
    data_dir: str | None = None,
    judges: Mapping[str, AnyJudge] | None = None,
    allow_weak_sandbox: bool = False,
    progress: bool = False,
    fail_fast: bool = False,
) -> Table:
    """Runs every method on every task with every seed.

    Weights are read once, dev passes are paid once, and finished runs are found again. A method
    that the pool or the task does not suit is a row with the reason, and is logged before the first
    run; one that fails while it runs is a row with its error, and the others go on.

    Args:
        methods: names, specs, classes, or methods with their hyperparameters; or one of these.
        pool: a loaded pool, or names of members.
        tasks: loaded tasks, names or paths, or one of these.
        seeds: one run each; a number is one.
        sampling: how answers are drawn.
        out: folder of the run directories and of the store.
        batch_size: rows decoded together; "auto" takes what fits all of the runs.
        ratio: share of both splits to keep.
        dtype: of the weights.
        offload: keep idle members in host memory.
        mesh: sizes of the mesh of devices, such as "data=4,tensor=2"; None is one device.
        data_dir: folder of `<task>.json` files.
        judges: models that judge answers, by role; see `run`.
        allow_weak_sandbox: run programs that models wrote even without namespaces.
        progress: whether long work draws a bar.
        fail_fast: raise what goes wrong in a run instead of going on with the others.

    Raises:
        ValueError: there is nothing to compare, a name is unknown, or a value is out of range.
    """
    methods = [methods] if isinstance(methods, str | type | Method) else list(methods)
    tasks = [tasks] if isinstance(tasks, str | Task) else list(tasks)
    seeds = [seeds] if isinstance(seeds, int) else list(seeds)
    if not (methods and tasks and seeds):
        raise ValueError("compare needs at least one method, one task and one seed")
    members = Members(pool, dtype, Placement.of(mesh))
    base = RunConfig(
        method="",
        task="",
        models=naming.sources(pool),
        out=str(out),
        sampling=sampling or Sampling(),
        ratio=ratio,
        batch_size=batch_size,
        dtype=dtype,
        offload=offload,
        mesh=mesh,
        data_dir=data_dir,
        allow_weak_sandbox=allow_weak_sandbox,
        **names_of(judges),
    )
    rows = []
    made = [naming.make_method(method, {}) for method in methods]
    loaded = [naming.make_task(task, base) for task in tasks]
    base = settle(base, list(itertools.product(made, loaded)), members)
    models = make_judges({task.kind for task in loaded}, base, judges)
    pairs = list(itertools.product(zip(tasks, loaded, strict=True), made))
    refused = {
        place: reason
        for place, ((_, task), method) in enumerate(pairs)
        if (reason := why_not(members, method, task))
    }
    for place, reason in refused.items():
        (_, task), method = pairs[place]
        logging.warning("%s", f"not run: {method.name} on {task.name}: {reason}")
    with store_of(out) as kept:

        def one(config: RunConfig, method: Method, task: Task) -> RunResult:
            return execute(config, method, task, members, kept, judges=models, progress=progress)

        for place, ((named, task), method) in enumerate(pairs):
            config = dataclasses.replace(
                base,
                task=naming.task_name(named),
                method=naming.spec_of(method),
                hyperparameters=naming.recorded(method, {}),
            )
            if place in refused:
                rows.append(Row(method.name, task.name, (), refused[place]))
            else:
                rows.append(_row(config, method, task, seeds, one, fail_fast))
            logging.info("%s", rows[-1])
    return Table(tuple(rows))


def why_not(members: Members, method: Method, task: Task) -> str:
    """Why a method cannot run with these members on this task; "" where it can."""
    try:
        members.check(method, TaskInfo.of(task))
    except NeedsError as error:
        return str(error)
    except Exception:
        # A check that is itself at fault is met again when the method runs, and is its row's error
        return ""
    return ""


def _row(
    base: RunConfig,
    method: Method,
    task: Task,
    seeds: Sequence[int],
    run: Callable[[RunConfig, Method, Task], RunResult],
    fail_fast: bool,
) -> Row:
    results, error = [], ""
    for seed in seeds:
        try:
            results.append(run(dataclasses.replace(base, seed=seed), method, task))
        except NeedsError as refused:
            return Row(method.name, task.name, tuple(results), str(refused))
        except Exception as problem:
            # Whatever a method does wrong, the others are no worse for it
            if fail_fast:
                raise
            logging.info("%s on %s, seed %d", method.name, task.name, seed, exc_info=True)
            error = error or f"{failed(problem)}, seed {seed}"
    return Row(method.name, task.name, tuple(results), error=error)
