"""Score against cost, laid out for drawing: everything is in pixels when the template sees it."""

import dataclasses
import itertools
import math
from collections.abc import Sequence

from moco_jax.analysis.costs import frontier
from moco_jax.analysis.labels import Box, Label, place_labels

FONT = 12.0

ROOMY = 600.0
MOST_NAMES, MOST_NAMES_ROOMY = 6, 26
"""With more marks than this, they are numbered instead of named.

In a roomy plot those that nobody beats at their price keep their names.
"""


@dataclasses.dataclass(frozen=True)
class Mark:
    """One thing to draw.

    Attributes:
        label: its name.
        cost: above 0, on the log axis.
        score: its height, with the ends of its interval.
        kind: "method", "leader" (may be the best), "member" or "best" (the best single member).
        title: what hovering over it shows.
    """

    label: str
    cost: float
    score: float
    low: float
    high: float
    kind: str
    title: str


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A mark in pixels.

    `text` is what stands beside it: its label, or its number in the plot's key. `unbeaten` says
    that nobody beats it at its price.
    """

    mark: Mark
    x: float
    y: float
    top: float
    bottom: float
    text: str
    label: Label | None
    unbeaten: bool


@dataclasses.dataclass(frozen=True)
class Tick:
    """A place on an axis and what stands there."""

    at: float
    text: str
    power: str = ""


@dataclasses.dataclass(frozen=True)
class Plot:
    """A plot in pixels.

    Attributes:
        width: of the whole drawing.
        height: of the whole drawing.
        frame: the area between the axes.
        x_ticks: powers of ten.
        y_ticks: scores.
        drawn: the marks.
        reference: height of the best single member's score, or None.
        frontier: the points (x, y) of the stairs from each mark that nobody beats at its price to
            the next, cheapest first.
        keyed: whether marks are numbered, so that a key has to say which is which.
    """

    width: float
    height: float
    frame: Box
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    drawn: tuple[Drawn, ...]
    reference: float | None
    frontier: tuple[tuple[float, float], ...]
    keyed: bool


def lay_out(marks: Sequence[Mark], width: float) -> Plot | None:
    """Lays a plot out for a width; None where nothing has a cost.

    Args:
        marks: what to draw; those without a cost have no place on a log axis and are left out.
        width: of the whole drawing, in pixels.
    """
    marks = [mark for mark in marks if mark.cost > 0]
    if not marks:
        return None
    roomy = width >= ROOMY
    keyed = len(marks) > (MOST_NAMES_ROOMY if roomy else MOST_NAMES)
    unbeaten = frontier([mark.cost for mark in marks], [mark.score for mark in marks])
    height = max(0.44 * width, 300.0) + 2.0 * len(marks)
    frame = Box(38.0, 14.0, width - 8.0, height - 44.0)
    left, right = _cost_range([mark.cost for mark in marks])
    ticks, low, high = score_ticks(min(m.low for m in marks), max(m.high for m in marks))

    def x_of(cost: float) -> float:
        share = (math.log10(cost) - left) / (right - left)
        return frame.left + share * (frame.right - frame.left)

    def y_of(score: float) -> float:
        return frame.bottom - (score - low) / (high - low) * (frame.bottom - frame.top)

    points = [(x_of(mark.cost), y_of(mark.score)) for mark in marks]
    bars = [
        Box(x - 2, y_of(mark.high), x + 2, y_of(mark.low))
        for (x, _), mark in zip(points, marks, strict=True)
    ]
    texts = [
        str(place + 1) if keyed and not (roomy and place in unbeaten) else mark.label
        for place, mark in enumerate(marks)
    ]
    labels = place_labels(points, texts, frame, bars, FONT)
    best = next((mark.score for mark in marks if mark.kind == "best"), None)
    return Plot(
        width=width,
        height=height,
        frame=frame,
        x_ticks=tuple(
            Tick(x_of(10.0**power), "10", str(power))
            for power in range(math.ceil(left), math.floor(right) + 1)
        ),
        y_ticks=tuple(Tick(y_of(value), f"{value:g}") for value in ticks),
        drawn=tuple(
            Drawn(mark, x, y, y_of(mark.high), y_of(mark.low), text, label, place in unbeaten)
            for place, (mark, (x, y), text, label) in enumerate(
                zip(marks, points, texts, labels, strict=True)
            )
        ),
        reference=None if best is None else y_of(best),
        frontier=_stairs([points[place] for place in unbeaten]),
        keyed=keyed,
    )


def _stairs(corners: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Level from each corner to the next one's cost, then up."""
    levels = [
        point for (x, y), (stop, _) in itertools.pairwise(corners) for point in ((x, y), (stop, y))
    ]
    return (*levels, corners[-1])


def _cost_range(costs: Sequence[float]) -> tuple[float, float]:
    """Powers of ten at the ends of the cost axis, with room beside the points and a tick inside."""
    low, high = math.log10(min(costs)), math.log10(max(costs))
    room = max(0.12 * (high - low), 0.2)
    low, high = low - room, high + 2 * room
    if math.floor(high) - math.ceil(low) < 1:
        low, high = min(low, math.floor(low) - 0.05), max(high, math.ceil(high) + 0.05)
    return low, high


def score_ticks(low: float, high: float) -> tuple[tuple[float, ...], float, float]:
    """Round values that span a range in four to ten steps, and the first and last of them."""
    if high - low < 1e-9:
        low, high = low - 0.05, high + 0.05
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    values = tuple(round(number * step, 10) for number in range(first, last + 1))
    return values, values[0], values[-1]
