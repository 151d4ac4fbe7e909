"""What methods cost: the time of a run, the price of a correct answer, and who is worth it."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from moco_jax.analysis.comparison import Contender
from moco_jax.analysis.load import LoadedRun
from moco_jax.runs.ledger import FIT, RESPOND

MOST = 10
"""How many methods the lists of the report hold."""


@dataclasses.dataclass(frozen=True)
class Bill:
    """What a method cost on a test split, as if it had run alone, averaged over seeds.

    Attributes:
        name: of the method.
        items: of the test split.
        correct: scores summed over the items; a partly right answer counts in part.
        fit_seconds: of fitting, once.
        seconds: of answering all items.
        fit_flops: of fitting, once.
        flops: of answering all items.
    """

    name: str
    items: int
    correct: float
    fit_seconds: float
    seconds: float
    fit_flops: float
    flops: float

    @property
    def total_seconds(self) -> float:
        """Fitting and answering."""
        return self.fit_seconds + self.seconds

    @property
    def seconds_per_item(self) -> float:
        """Of answering."""
        return self.seconds / self.items

    @property
    def flops_per_correct(self) -> float:
        """FLOPs of fitting and answering for every correct answer; inf where none is."""
        return _price(self.fit_flops + self.flops, self.correct)

    @property
    def seconds_per_correct(self) -> float:
        """Seconds of fitting and answering for every correct answer; inf where none is."""
        return _price(self.total_seconds, self.correct)


def _price(cost: float, correct: float) -> float:
    return cost / correct if correct > 0 else math.inf


def bill(contender: Contender) -> Bill:
    """What a contender cost."""
    runs = contender.runs

    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values))

    return Bill(
        name=contender.label,
        items=len(runs[0].answers),
        correct=mean([sum(run.scores) for run in runs]),
        fit_seconds=mean([seconds(run, FIT) for run in runs]),
        seconds=mean([seconds(run, RESPOND) for run in runs]),
        fit_flops=mean([run.cost(FIT)["flops"] for run in runs]),
        flops=mean([run.cost(RESPOND)["flops"] for run in runs]),
    )


def seconds(run: LoadedRun, phase: str) -> float:
    """Time of a phase as if computed alone.

    The members' work is taken as recorded when it was done, so that an answer from the store costs
    what it cost the first time. What the phase took beyond the work that really ran in it (merging
    weights, searching, compiling) comes on top.
    """
    lines = [line for line in run.ledger["lines"] if line["phase"] == phase]
    alone = sum(line["attributed"]["seconds"] for line in lines)
    spent = sum(line["spent"]["seconds"] for line in lines)
    return alone + max(0.0, run.ledger["wall_seconds"].get(phase, 0.0) - spent)


def slowest(bills: Sequence[Bill], count: int = MOST) -> list[Bill]:
    """Those whose fitting and answering took longest, slowest first."""
    return sorted(bills, key=lambda bill: (-bill.total_seconds, bill.name))[:count]


def dearest(bills: Sequence[Bill], count: int = MOST) -> list[Bill]:
    """Those with the highest FLOPs per correct answer, dearest first."""
    return sorted(bills, key=lambda bill: (-bill.flops_per_correct, bill.name))[:count]


def frontier(costs: Sequence[float], scores: Sequence[float]) -> list[int]:
    """Places of those that nobody beats at their price, cheapest first.

    One is on the frontier where everyone who costs no more scores less. Of several that agree in
    both, the first is.

    Args:
        costs: f64[n].
        scores: f64[n], parallel to `costs`; higher is better.
    """
    order = sorted(range(len(costs)), key=lambda place: (costs[place], -scores[place], place))
    found: list[int] = []
    for place in order:
        if not found or scores[place] > scores[found[-1]]:
            found.append(place)
    return found
