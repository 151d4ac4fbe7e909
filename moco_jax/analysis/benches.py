"""Runs sorted into benches: one task, one pool, one way of decoding, so that they compare."""

import dataclasses
import functools
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from moco_jax.analysis.ceiling import Ceiling, ceiling
from moco_jax.analysis.comparison import Contender, Standing, standings
from moco_jax.analysis.load import LoadedRun, Row, load_task_of
from moco_jax.tasks import Task


@dataclasses.dataclass(frozen=True)
class Voice:
    """A model alone, over seeds.

    Attributes:
        name: of the model.
        roles: what methods use it for, where it is a helper.
        rows: its answers, [seed][item].
        best_single: scores of the best single member on the same items, averaged over these seeds.
    """

    name: str
    roles: tuple[str, ...]
    rows: tuple[tuple[Row, ...], ...]
    best_single: tuple[float, ...]

    @functools.cached_property
    def values(self) -> list[float]:
        """The score on every item, averaged over seeds."""
        return np.mean([[row["score"] for row in rows] for rows in self.rows], axis=0).tolist()

    def share(self, field: str, value: str) -> float:
        """Share of all its answers that have a value in a field."""
        return float(np.mean([row[field] == value for rows in self.rows for row in rows]))

    def usage(self, *names: str) -> float:
        """Mean over all its answers of a sum of costs, such as `flops`."""
        used = [row["usage"] for rows in self.rows for row in rows]
        return float(np.mean([sum(one[name] for name in names) for one in used]))


@dataclasses.dataclass(frozen=True)
class Bench:
    """Contenders that met the same items with the same pool.

    Attributes:
        contenders: in the order of their labels.
        task: what they were run on, where its file is still there; None otherwise.
    """

    contenders: tuple[Contender, ...]
    task: Task | None

    @property
    def first(self) -> LoadedRun:
        """Some run of it; pool, task and sampling are the same in all."""
        return self.contenders[0].runs[0]

    @property
    def members(self) -> list[str]:
        """Names of the pool, in order."""
        return [member["name"] for member in self.first.record["members"]]

    @property
    def seeds(self) -> list[int]:
        """Seeds of all runs, ascending."""
        return list(self.by_seed)

    @property
    def groups(self) -> list[str | None]:
        """The cluster of each item."""
        return [row["group"] for row in self.first.answers]

    @property
    def golds(self) -> list[tuple[str, ...]]:
        """Accepted answers of each item; empty where the task is not at hand."""
        if self.task is None:
            return [() for _ in self.first.answers]
        return [gold.answers for gold in self.task.test.golds]

    @functools.cached_property
    def standings(self) -> list[Standing]:
        """Everyone's standing, highest score first."""
        return standings(self.contenders, self.groups)

    @functools.cached_property
    def ceiling(self) -> Ceiling:
        """What the pool could reach."""
        return ceiling(self._scores_by_seed)

    @property
    def bounded(self) -> bool:
        """Whether an item is solved or not; judged scores without bounds say neither."""
        return all(row["outcome"] != "scored" for row in self.first.answers)

    @functools.cached_property
    def by_seed(self) -> dict[int, LoadedRun]:
        """One run per seed: the members' own answers are the same in all runs of a seed."""
        found: dict[int, LoadedRun] = {}
        for contender in self.contenders:
            for run in contender.runs:
                found.setdefault(run.seed, run)
        return dict(sorted(found.items()))

    def single_rows(self, member: str) -> list[tuple[Row, ...]]:
        """A member's own answers, [seed][item]."""
        return [run.singles[member] for run in self.by_seed.values()]

    @functools.cached_property
    def alone(self) -> list[Voice]:
        """Every member alone, in the order of the pool."""
        best = np.mean([run.best_single for run in self.by_seed.values()], axis=0).tolist()
        return [
            Voice(name, (), tuple(self.single_rows(name)), tuple(best)) for name in self.members
        ]

    @functools.cached_property
    def helpers(self) -> list[Voice]:
        """The models alone that methods use beside the members, in the order of their names."""
        found: dict[str, dict[int, LoadedRun]] = {}
        roles: dict[str, set[str]] = {}
        for run in (run for contender in self.contenders for run in contender.runs):
            for role, one in run.result.helpers.items():
                if one.name in run.helpers:
                    found.setdefault(one.name, {}).setdefault(run.seed, run)
                    roles.setdefault(one.name, set()).add(role)
        return [
            Voice(
                name,
                tuple(sorted(roles[name])),
                tuple(run.helpers[name] for run in runs.values()),
                tuple(np.mean([run.best_single for run in runs.values()], axis=0).tolist()),
            )
            for name, runs in sorted(found.items())
        ]

    @functools.cached_property
    def _scores_by_seed(self) -> dict[str, np.ndarray]:
        """Every member's own scores f64[S, n]."""
        return {
            name: np.array([[row["score"] for row in rows] for rows in self.single_rows(name)])
            for name in self.members
        }

    @property
    def single_scores(self) -> dict[str, list[float]]:
        """Every member's own score on every item, averaged over seeds."""
        return {name: scores.mean(axis=0).tolist() for name, scores in self._scores_by_seed.items()}


def sort_out(runs: Sequence[LoadedRun]) -> list[Bench]:
    """Benches in the order in which their first runs come."""
    found: dict[str, list[LoadedRun]] = {}
    for run in runs:
        found.setdefault(json.dumps(_setting(run.record)), []).append(run)
    return [Bench(_contenders(theirs), load_task_of(theirs[0])) for theirs in found.values()]


def _setting(record: dict[str, Any]) -> list[Any]:
    """What must agree for two runs to be compared item by item."""
    return [
        record["task"]["name"],
        record["task"]["fingerprint"],
        [member["identity"] for member in record["members"]],
        record["config"]["sampling"],
        record["dtype"],
    ]


def _contenders(runs: Sequence[LoadedRun]) -> tuple[Contender, ...]:
    """Runs that differ in nothing but their seed are one contender."""
    found: dict[str, dict[int, LoadedRun]] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        # The same run under another batch size is no second seed: the later one stands.
        found.setdefault(json.dumps(run.record["method"]), {})[run.seed] = run
    made = {key: tuple(by_seed.values()) for key, by_seed in found.items()}
    return tuple(
        sorted(
            (Contender(_label(theirs[0], made), theirs) for theirs in made.values()),
            key=lambda contender: contender.label,
        )
    )


def _label(run: LoadedRun, everyone: dict[str, tuple[LoadedRun, ...]]) -> str:
    """The method's name, and the hyperparameters in which it differs from its namesakes."""
    method = run.record["method"]
    others = [theirs[0].record["method"] for theirs in everyone.values()]
    namesakes = [other for other in others if other["name"] == method["name"]]
    settings = method["hyperparameters"]
    differing = [
        f"{name}={json.dumps(value)}"
        for name, value in settings.items()
        if any(other["hyperparameters"].get(name) != value for other in namesakes)
    ]
    code = f"code {method['code'][:6]}" if _code_differs(namesakes) and method["code"] else ""
    details = [*differing, code] if code else differing
    return f"{method['name']} ({', '.join(details)})" if details else method["name"]


def _code_differs(namesakes: Sequence[dict[str, Any]]) -> bool:
    return len({other["code"] for other in namesakes}) > 1
