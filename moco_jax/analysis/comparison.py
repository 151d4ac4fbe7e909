"""Methods side by side: scores with intervals, paired differences, and which of them are ties."""

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np

from moco_jax.analysis.load import LoadedRun
from moco_jax.runs import statistics
from moco_jax.runs.result import Verdict, compared
from moco_jax.runs.statistics import Interval, sign_test

LEVEL = 0.95
Groups = Sequence[str | None] | None


@dataclasses.dataclass(frozen=True)
class Contender:
    """One method with its hyperparameters, over seeds.

    Attributes:
        label: how tables call it.
        runs: one per seed, on the same items.
    """

    label: str
    runs: tuple[LoadedRun, ...]

    @functools.cached_property
    def values(self) -> list[float]:
        """The score on every item, averaged over seeds."""
        return np.mean([run.scores for run in self.runs], axis=0).tolist()

    @functools.cached_property
    def best_single(self) -> list[float]:
        """The best single member's score on every item, averaged over seeds."""
        return np.mean([run.best_single for run in self.runs], axis=0).tolist()

    @functools.cached_property
    def helpers(self) -> dict[str, tuple[str, list[float]]]:
        """(name, score on every item, averaged over seeds) of the helpers alone, by role."""
        return {
            role: (one.name, np.mean([run.helper_scores(role) for run in self.runs], 0).tolist())
            for role, one in self.runs[0].result.helpers.items()
        }

    @property
    def spread(self) -> float:
        """Standard deviation of the mean score over seeds (n - 1); nan with fewer than two."""
        if len(self.runs) < 2:
            return math.nan
        return float(np.std([run.result.score for run in self.runs], ddof=1))

    def mean(self, name: str) -> float:
        """Mean over seeds of a number in the runs' results, such as `unparsed`."""
        return float(np.mean([getattr(run.result, name) for run in self.runs]))

    def item_cost(self) -> dict[str, float]:
        """Cost of answering one item, averaged over items and seeds."""
        costs = [run.item_cost() for run in self.runs]
        return {name: float(np.mean([cost[name] for cost in costs])) for name in costs[0]}

    def fit_flops(self) -> float:
        """FLOPs of fitting once, averaged over seeds."""
        return float(np.mean([run.fit_cost()["flops"] for run in self.runs]))


@dataclasses.dataclass(frozen=True)
class Rival:
    """The best of a method's helpers alone, and how the method compares.

    Attributes:
        role: what the method uses it for.
        name: of the model.
        score: its mean score.
        difference: the method's score minus its own, paired, with its 95% interval.
        verdict: what the difference says.
    """

    role: str
    name: str
    score: float
    difference: Interval
    verdict: Verdict


@dataclasses.dataclass(frozen=True)
class Standing:
    """Where a contender stands.

    Attributes:
        contender: who.
        score: mean score with its 95% interval over items.
        difference: score minus the best single member's, paired, with its 95% interval.
        verdict: what the difference says.
        p: of the exact sign test against the best single member.
        tied: whether the data do not tell it from the one with the highest score.
        rival: its best helper alone; None where it uses none.
    """

    contender: Contender
    score: Interval
    difference: Interval
    verdict: Verdict
    p: float
    tied: bool
    rival: Rival | None = None


def standings(contenders: Sequence[Contender], groups: Groups = None) -> list[Standing]:
    """Contenders on the same items, highest score first; ties are marked, not ranked.

    The comparison with the leader is at a level corrected for how many are compared with it
    (Bonferroni), because the leader was picked for its score.

    Args:
        contenders: all on the same items.
        groups: the cluster of each item; None: items stand alone.
    """
    ranked = sorted(contenders, key=lambda contender: (-np.mean(contender.values), contender.label))
    level = 1.0 - (1.0 - LEVEL) / max(len(ranked) - 1, 1)
    return [_standing(contender, ranked[0], groups, level) for contender in ranked]


def _standing(contender: Contender, leader: Contender, groups: Groups, level: float) -> Standing:
    ours, single = contender.values, contender.best_single
    difference, verdict = compared(ours, single, groups)
    return Standing(
        contender=contender,
        score=statistics.mean_interval(ours, groups),
        difference=difference,
        verdict=verdict,
        p=sign_test(ours, single, groups),
        tied=indistinguishable(leader.values, ours, groups, level),
        rival=_rival(contender, groups),
    )


def _rival(contender: Contender, groups: Groups) -> Rival | None:
    rivals = [
        Rival(role, name, float(np.mean(theirs)), *compared(contender.values, theirs, groups))
        for role, (name, theirs) in contender.helpers.items()
    ]
    return max(rivals, key=lambda rival: rival.score, default=None)


def indistinguishable(
    ours: Sequence[float], theirs: Sequence[float], groups: Groups = None, level: float = LEVEL
) -> bool:
    """Whether a paired difference may be noise.

    Args:
        ours: f64[n].
        theirs: f64[n], for the same items.
        groups: the cluster of each item; None: items stand alone.
        level: share of resampled differences the interval holds.
    """
    if statistics.differing_clusters(ours, theirs, groups) < statistics.FEWEST_DIFFERING:
        return True
    found = statistics.difference_interval(ours, theirs, groups, level=level)
    return found.low <= 0 <= found.high
