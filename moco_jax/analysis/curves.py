"""Growth curves: a small log-log plot as SVG."""

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 420, 280
NAME = 16
"""Height of a curve's name; the names stand below the plot, where no curve runs through them."""
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 34, 44
COLOURS = ("#1f6feb", "#c2410c", "#15803d", "#7e22ce")
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#57606a}.grid{stroke:#d0d7de;stroke-width:1}"
    ".curve{fill:none;stroke-width:2}.title{font-weight:600}"
)


def growth_plot(title: str, x_title: str, y_title: str, curves: Mapping[str, Points]) -> str:
    """An SVG of curves over one log axis of powers of two, the other of powers of ten.

    Args:
        title: stands above.
        x_title: what grows.
        y_title: what is measured, with its unit.
        curves: (x, y) points by name, all above 0.

    Raises:
        ValueError: there is no point, or one is not above 0.
    """
    points = [point for curve in curves.values() for point in curve]
    if not points or min(min(point) for point in points) <= 0:
        raise ValueError(f"the plot {title!r} needs points above 0; it has {points}")
    across = _Axis([x for x, _ in points], 2, LEFT, WIDTH - RIGHT)
    up = _Axis([y for _, y in points], 10, HEIGHT - BOTTOM, TOP)
    whole = HEIGHT + NAME * len(curves)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {whole}" '
        f'width="{WIDTH}" height="{whole}" role="img" aria-label="{escape(title)}">',
        f'<style>{STYLE}</style><rect width="100%" height="100%" fill="white"/>',
        _text(LEFT, 18, title, "start", "title"),
        *_grid(across, up),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x_title),
        _text(WIDTH - RIGHT, 18, y_title, "end"),
    ]
    for place, (name, curve) in enumerate(curves.items()):
        parts += _curve(name, curve, across, up, place)
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Axis:
    """A log axis over whole powers of a base."""

    def __init__(self, values: Sequence[float], base: int, start: float, end: float):
        self.base, self.start, self.end = base, start, end
        self.low = math.floor(math.log(min(values), base) + 1e-9)
        self.high = max(math.ceil(math.log(max(values), base) - 1e-9), self.low + 1)

    def at(self, value: float) -> float:
        """Where a value stands, in pixels."""
        share = (math.log(value, self.base) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        """The powers of its range."""
        return [float(self.base) ** power for power in range(self.low, self.high + 1)]


def _grid(across: _Axis, up: _Axis) -> list[str]:
    parts = []
    for value in across.ticks:
        x = across.at(value)
        parts += [_line(x, TOP, x, HEIGHT - BOTTOM), _text(x, HEIGHT - BOTTOM + 16, f"{value:g}")]
    for value in up.ticks:
        y = up.at(value)
        parts += [_line(LEFT, y, WIDTH - RIGHT, y), _text(LEFT - 6, y + 4, f"{value:g}", "end")]
    return parts


def _curve(name: str, curve: Points, across: _Axis, up: _Axis, place: int) -> list[str]:
    colour = COLOURS[place % len(COLOURS)]
    places = [(across.at(x), up.at(y)) for x, y in sorted(curve)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    key = HEIGHT + 8 + NAME * place
    return [
        f'<polyline class="curve" stroke="{colour}" points="{line}"/>',
        *dots,
        f'<circle cx="{LEFT + 12}" cy="{key - 4}" r="4" fill="{colour}"/>',
        _text(LEFT + 22, key, name, "start"),
    ]


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="grid" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str = "middle", kind: str = "tick") -> str:
    place = f'class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f"<text {place}>{escape(text)}</text>"
