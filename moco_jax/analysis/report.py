"""The report: one HTML file that needs nothing else, for people to look at."""

import dataclasses
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import jinja2
from markupsafe import Markup

from moco_jax.analysis import costs
from moco_jax.analysis.benches import Bench, Voice
from moco_jax.analysis.ceiling import emergence
from moco_jax.analysis.comparison import Rival, Standing
from moco_jax.analysis.payload import payload, script_json
from moco_jax.analysis.plot import Mark, lay_out, score_ticks
from moco_jax.runs import statistics

WIDE, NARROW = 920.0, 360.0
"""Widths in pixels for which plots are laid out; the page shows the one that fits."""

BADGES = {"beats": "better", "within noise of": "noise", "loses to": "worse"}


@dataclasses.dataclass(frozen=True)
class Line:
    """A row of the report's table; `None` is a cell with nothing to say.

    Attributes:
        name: of the method or member.
        kind: "leader", "method", "best" or "member" (or helper), see `plot.Mark`.
        note: what a model alone is.
        score: mean, with the ends of its interval.
        spread: standard deviation over seeds, or None.
        change: difference to the best single member with its interval, or None.
        badge: "better", "noise" or "worse".
        rival: its best helper alone, or None.
        p: of the sign test against the best single member.
        new: items solved that no member solves, and how many there are of those.
        unparsed: share of answers.
        cut: share of answers.
        tokens: read and written per item.
        flops: per item.
        fit_flops: of fitting, once.
    """

    name: str
    kind: str
    score: statistics.Interval
    unparsed: float
    cut: float
    tokens: float
    flops: float
    note: str = ""
    spread: float | None = None
    change: statistics.Interval | None = None
    badge: str = ""
    rival: Rival | None = None
    p: float | None = None
    new: tuple[int, int] | None = None
    fit_flops: float = 0.0

    @property
    def title(self) -> str:
        """What hovering over its point shows."""
        parts = [f"{self.name}: {self.score}", f"{self.flops:.2e} FLOPs per item"]
        if self.change is not None:
            parts.append(f"{self.change.mean:+.3f} to the best single ({self.badge})")
        return "\n".join(parts)


def write_report(benches: Sequence[Bench], path: str | pathlib.Path, title: str = "Runs") -> None:
    """Writes the report.

    Args:
        benches: what to show.
        path: of the file; folders that are missing are made.
        title: of the page.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html(benches, title), encoding="utf-8", errors="backslashreplace")


def html(benches: Sequence[Bench], title: str = "Runs") -> str:
    """The report's source. Every text in it is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("moco_jax", "analysis"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "breakable": _breakable,
        "signed": _signed,
        "sci": _scientific,
        "seconds": _seconds,
        "share": _share,
    }
    return environment.get_template("report.html").render(
        title=title,
        sections=[_section(bench) for bench in benches],
        runs=sum(len(contender.runs) for bench in benches for contender in bench.contenders),
        # Escaped for its place already.
        data=Markup(script_json(payload(benches))),
    )


def _section(bench: Bench) -> dict[str, Any]:
    """What the template shows of a bench."""
    methods = [_method_line(bench, standing) for standing in bench.standings]
    alone = [_alone_line(bench, voice) for voice in (*bench.alone, *bench.helpers)]
    lines = [*methods, *sorted(alone, key=lambda line: -line.score.mean)]
    marks = [_mark(line) for line in lines]
    bills = [costs.bill(contender) for contender in bench.contenders]
    several = len(bills) > 1
    _, low, high = score_ticks(
        min(line.score.low for line in lines), max(line.score.high for line in lines)
    )
    return {
        "bench": bench,
        "result": bench.first.result,
        "sampling": bench.first.record["config"]["sampling"],
        "ceiling": bench.ceiling,
        "lines": lines,
        "axis": (low, high),
        "reference": next(line.score.mean for line in lines if line.kind == "best"),
        "plots": [
            (name, lay_out(marks, width)) for name, width in (("wide", WIDE), ("narrow", NARROW))
        ],
        "shortened": len(bills) > costs.MOST,
        "slowest": costs.slowest(bills) if several else [],
        "dearest": costs.dearest(bills) if several and bench.bounded else [],
    }


def _mark(line: Line) -> Mark:
    """The line's point in the plot."""
    score = line.score
    return Mark(line.name, line.flops, score.mean, score.low, score.high, line.kind, line.title)


def _method_line(bench: Bench, standing: Standing) -> Line:
    contender = standing.contender
    cost = contender.item_cost()
    first = contender.runs[0]
    alone = {name: [row["score"] for row in rows] for name, rows in first.singles.items()}
    return Line(
        name=contender.label,
        kind="leader" if standing.tied else "method",
        score=standing.score,
        unparsed=contender.mean("unparsed"),
        cut=contender.mean("cut"),
        tokens=cost["prompt_tokens"] + cost["new_tokens"],
        flops=cost["flops"],
        spread=None if math.isnan(contender.spread) else contender.spread,
        change=standing.difference,
        badge=BADGES[standing.verdict],
        rival=standing.rival,
        p=standing.p,
        new=emergence(first.scores, alone),
        fit_flops=contender.fit_flops(),
    )


def _alone_line(bench: Bench, voice: Voice) -> Line:
    """A member or a helper alone."""
    best = not voice.roles and voice.name == bench.first.result.best_single.name
    return Line(
        name=voice.name,
        kind="best" if best else "member",
        note="best single" if best else " ".join((*voice.roles, "alone")),
        score=statistics.mean_interval(voice.values, bench.groups),
        unparsed=voice.share("outcome", "unparsed"),
        cut=voice.share("finish", "length"),
        tokens=voice.usage("prompt_tokens", "new_tokens"),
        flops=voice.usage("flops"),
    )


def _breakable(name: str) -> Markup:
    """A name that may be broken after its underscores."""
    return Markup("_<wbr>").join(name.split("_"))


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _share(value: float) -> str:
    return "0" if value == 0 else f"{value:.1%}"


def _seconds(value: float) -> str:
    """Three digits, and never a power of ten."""
    if value <= 0:
        return "0"
    return f"{value:,.0f}" if value >= 100 else f"{value:.{2 - math.floor(math.log10(value))}f}"


def _scientific(value: float) -> Markup:
    """1.5e9 as 1.5 × 10⁹."""
    if value <= 0:
        return Markup("–")
    mantissa, power = f"{value:.1e}".split("e")
    return Markup("{}&thinsp;×&thinsp;10<sup>{}</sup>").format(mantissa, int(power))
