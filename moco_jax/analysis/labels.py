"""Labels beside the points of a plot, so that none covers another, a point, or the edge."""

import dataclasses
import math
from collections.abc import Iterator, Sequence

GLYPH = 0.58
"""Width of an average letter of the page's font, in font sizes."""

LINE = 1.25
"""Height of a line, in font sizes."""

GAP = 8.0
"""Pixels between a point and a label beside it."""

FARTHEST = 40
"""How many rings of places are tried around a point."""


@dataclasses.dataclass(frozen=True)
class Box:
    """A rectangle in pixels; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        """Whether the two share an area."""
        apart = self.right <= other.left or other.right <= self.left
        return not (apart or self.bottom <= other.top or other.bottom <= self.top)

    def inside(self, other: "Box") -> bool:
        """Whether this lies within the other."""
        wide = other.left <= self.left and self.right <= other.right
        return wide and other.top <= self.top and self.bottom <= other.bottom


@dataclasses.dataclass(frozen=True)
class Label:
    """Where a label stands.

    Attributes:
        box: the room it takes.
        leader: whether it is so far away that a line must lead to its point.
    """

    box: Box
    leader: bool


def place_labels(
    points: Sequence[tuple[float, float]],
    texts: Sequence[str],
    frame: Box,
    obstacles: Sequence[Box] = (),
    size: float = 12.0,
) -> list[Label | None]:
    """Places one label per point, the first points first; None where there is no room at all.

    Args:
        points: x and y in pixels.
        texts: parallel to `points`.
        frame: where labels may stand.
        obstacles: what they may not cover.
        size: of the font, in pixels.
    """
    taken = [*obstacles, *(Box(x - 6, y - 6, x + 6, y + 6) for x, y in points)]
    labels: list[Label | None] = []
    for (x, y), text in zip(points, texts, strict=True):
        width, height = GLYPH * size * len(text), LINE * size
        label = next(
            (
                Label(box, leader)
                for box, leader in _places(x, y, width, height)
                if box.inside(frame) and not any(box.meets(other) for other in taken)
            ),
            None,
        )
        if label is not None:
            taken.append(label.box)
        labels.append(label)
    return labels


def _places(x: float, y: float, width: float, height: float) -> Iterator[tuple[Box, bool]]:
    """Boxes around a point, the best first: beside, above and below it, then in growing rings."""
    middle = y - height / 2
    near = [
        (x + GAP, middle),
        (x - GAP - width, middle),
        (x + GAP / 2, middle - height * 0.75),
        (x + GAP / 2, middle + height * 0.75),
        (x - GAP / 2 - width, middle - height * 0.75),
        (x - GAP / 2 - width, middle + height * 0.75),
    ]
    for left, top in near:
        yield Box(left, top, left + width, top + height), False
    for ring in range(1, FARTHEST + 1):
        for turn in range(16):
            angle = math.tau * turn / 16
            left = x + math.cos(angle) * (GAP + 12 * ring) - (width if math.cos(angle) < 0 else 0)
            top = middle + math.sin(angle) * (GAP + 12 * ring)
            yield Box(left, top, left + width, top + height), True
