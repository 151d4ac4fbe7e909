"""Many runs, one table: methods by tasks, over seeds, sharing the pool and the store."""

import dataclasses
import itertools
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from absl import logging

from moco_jax.decoding.hooks import Store
from moco_jax.decoding.placement import Placement
from moco_jax.decoding.types import Sampling
from moco_jax.method import Method, NeedsError
from moco_jax.runs import naming
from moco_jax.runs.config import RunConfig
from moco_jax.runs.execution import execute
from moco_jax.runs.judges import AnyJudge, JudgeModels, make_judges, names_of
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
        results: one per seed; empty where the method could not run.
        reason: why it could not, or "".
    """

    method: str
    task: str
    results: tuple[RunResult, ...]
    reason: str = ""

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
            "results": [result.to_record() for result in self.results],
        }

    def __str__(self) -> str:
        if not self.results:
            return f"{self.method:<28} {self.task:<16} not run: {self.reason}"
        first = self.results[0]
        spread = "" if math.isnan(self.spread) else f" ± {self.spread:.3f}"
        score = f"{self.mean:.3f}{spread}"
        low, high = first.interval
        return (
            f"{self.method:<28} {self.task:<16} {score:<15} [{low:.3f}, {high:.3f}] "
            f"{' / '.join(dict.fromkeys(result.verdict for result in self.results))} "
            f"{first.best_single.name} ({first.best_single.test:.3f})"
        )


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows in the order of tasks, then methods. Intervals shown are those of the first seed."""

    rows: tuple[Row, ...]

    def __str__(self) -> str:
        title = f"{'method':<28} {'task':<16} {'score':<15} 95% interval"
        return "\n".join([title, *map(str, self.rows)])

    def to_record(self) -> list[dict[str, Any]]:
        """A JSON-able record."""
        return [row.to_record() for row in self.rows]


def compare(
    methods: Sequence[AnyMethod],
    pool: AnyPool,
    tasks: Sequence[str | Task],
    seeds: Sequence[int] = (RunConfig.seed,),
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
) -> Table:
    """Runs every method on every task with every seed.

    Weights are read once, dev passes are paid once, and finished runs are found again. A method
    whose needs the pool or the task does not meet is a row with the reason.

    Args:
        methods: names, specs, classes, or methods with their hyperparameters.
        pool: a loaded pool, or names of members.
        tasks: loaded tasks, names or paths.
        seeds: one run each.
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

    Raises:
        ValueError: there is nothing to compare, a name is unknown, or a value is out of range.
    """
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
    with store_of(out) as kept:
        for (named, task), method in itertools.product(zip(tasks, loaded, strict=True), made):
            config = dataclasses.replace(
                base,
                task=naming.task_name(named),
                method=naming.spec_of(method),
                hyperparameters=naming.recorded(method, {}),
            )
            rows.append(_row(config, method, task, members, kept, models, seeds, progress))
            logging.info("%s", rows[-1])
    return Table(tuple(rows))


def _row(
    base: RunConfig,
    method: Method,
    task: Task,
    members: Members,
    kept: Store,
    judges: JudgeModels,
    seeds: Sequence[int],
    progress: bool,
) -> Row:
    results = []
    for seed in seeds:
        config = dataclasses.replace(base, seed=seed)
        try:
            results.append(
                execute(config, method, task, members, kept, judges=judges, progress=progress)
            )
        except NeedsError as error:
            return Row(method.name, task.name, (), str(error))
    return Row(method.name, task.name, tuple(results))
