"""The table that answers: who is good, how sure is that, and what did it cost."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from moco_jax.analysis.benches import Bench, Voice
from moco_jax.analysis.comparison import Standing
from moco_jax.analysis.costs import bill
from moco_jax.analysis.tables import FORMATS, TextTable, printable
from moco_jax.runs.result import compared
from moco_jax.runs.statistics import mean_interval

LEADING = "●"
VERDICTS = {"beats": "beats it", "within noise of": "noise", "loses to": "loses to it"}
RIVALS = {"within noise of": "≈", "loses to": "<"}
"""Marks of a method that does not beat its best helper alone."""
LEGEND = (
    f"{LEADING} = may be the best: the data do not tell it from the highest score of its task.\n"
    "Intervals are 95%, over items; ± is the standard deviation over seeds."
)
RIVALS_LEGEND = (
    "≈ selector: the method is not told from its selector alone; < selector: that is better alone."
)

SHOWN = (
    "task",
    "",
    "method",
    "score",
    "interval",
    "to best single",
    "verdict",
    "unparsed",
    "cut",
    "tokens/item",
    "FLOPs/item",
)
DATA = (
    "task",
    "method",
    "may_be_best",
    "score",
    "spread",
    "low",
    "high",
    "difference",
    "difference_low",
    "difference_high",
    "verdict",
    "p",
    "unparsed",
    "cut",
    "tokens_per_item",
    "flops_per_item",
    "seconds",
    "flops_per_correct",
    "helper",
    "helper_role",
    "helper_score",
    "to_helper",
    "to_helper_low",
    "to_helper_high",
    "to_helper_verdict",
    "not_run_because",
)


class NotRun(NamedTuple):
    """A method that could not run on a task, or failed, and why."""

    task: str
    method: str
    reason: str
    failed: bool = False

    def __str__(self) -> str:
        return f"{'' if self.failed else 'not run: '}{self.method} on {self.task}: {self.reason}"


def shown_table(benches: Sequence[Bench], not_run: Sequence[NotRun] = ()) -> TextTable:
    """A table to read: benches in order, highest score first, then their helpers alone.

    What could not run comes last.
    """
    rows: list[tuple[str, ...]] = []
    for bench in benches:
        rows += [_shown(bench.first.result.task, standing) for standing in bench.standings]
        rows += [_alone(bench, helper) for helper in bench.helpers]
    for row in not_run:
        word = "failed" if row.failed else "not run"
        rows.append((row.task, "", row.method, word, "", "", row.reason, "", "", "", ""))
    return TextTable(SHOWN, tuple(rows), frozenset({3, 4, 5, 7, 8, 9, 10}))


def data_table(benches: Sequence[Bench], not_run: Sequence[NotRun] = ()) -> TextTable:
    """The same for programs: one number per cell, in full."""
    rows = [
        _data(bench.first.result.task, standing, bench.bounded)
        for bench in benches
        for standing in bench.standings
    ]
    blank = ("",) * (len(DATA) - 3)
    rows += [(row.task, row.method, *blank, row.reason) for row in not_run]
    return TextTable(DATA, tuple(rows))


def render(benches: Sequence[Bench], form: str, not_run: Sequence[NotRun] = ()) -> str:
    """The table in one of `tables.FORMATS`; CSV is for programs.

    In a terminal the reasons of what could not run stand below the table, where they have room.
    """
    if form == "csv":
        return FORMATS[form](data_table(benches, not_run))
    if form != "text":
        return FORMATS[form](shown_table(benches, not_run))
    reasons = [printable(str(row)) for row in not_run]
    return "\n".join([FORMATS[form](shown_table(benches)), *reasons])


def _shown(task: str, standing: Standing) -> tuple[str, ...]:
    contender, change, score = standing.contender, standing.difference, standing.score
    cost = contender.item_cost()
    spread = "" if math.isnan(contender.spread) else f" ± {contender.spread:.3f}"
    return (
        task,
        LEADING if standing.tied else "",
        contender.label,
        f"{score.mean:.3f}{spread}",
        f"[{score.low:.3f}, {score.high:.3f}]",
        f"{change.mean:+.3f} [{change.low:+.3f}, {change.high:+.3f}]",
        VERDICTS[standing.verdict] + _beside_rival(standing),
        f"{contender.mean('unparsed'):.1%}",
        f"{contender.mean('cut'):.1%}",
        f"{cost['prompt_tokens'] + cost['new_tokens']:.0f}",
        f"{cost['flops']:.1e}",
    )


def _beside_rival(standing: Standing) -> str:
    rival = standing.rival
    mark = RIVALS.get(rival.verdict) if rival is not None else None
    return f", {mark} {rival.role}" if rival is not None and mark is not None else ""


def _alone(bench: Bench, helper: Voice) -> tuple[str, ...]:
    """The row of a helper alone."""
    values = helper.values
    score = mean_interval(values, bench.groups)
    change, verdict = compared(values, helper.best_single, bench.groups)
    return (
        bench.first.result.task,
        "",
        f"{helper.name} alone ({', '.join(helper.roles)})",
        f"{score.mean:.3f}",
        f"[{score.low:.3f}, {score.high:.3f}]",
        f"{change.mean:+.3f} [{change.low:+.3f}, {change.high:+.3f}]",
        VERDICTS[verdict],
        f"{helper.share('outcome', 'unparsed'):.1%}",
        f"{helper.share('finish', 'length'):.1%}",
        f"{helper.usage('prompt_tokens', 'new_tokens'):.0f}",
        f"{helper.usage('flops'):.1e}",
    )


def _data(task: str, standing: Standing, bounded: bool) -> tuple[str, ...]:
    contender, change, score = standing.contender, standing.difference, standing.score
    cost, spent = contender.item_cost(), bill(contender)
    numbers = {
        "score": score.mean,
        "spread": contender.spread,
        "low": score.low,
        "high": score.high,
        "difference": change.mean,
        "difference_low": change.low,
        "difference_high": change.high,
        "p": standing.p,
        "unparsed": contender.mean("unparsed"),
        "cut": contender.mean("cut"),
        "tokens_per_item": cost["prompt_tokens"] + cost["new_tokens"],
        "flops_per_item": cost["flops"],
        "seconds": spent.total_seconds,
        "flops_per_correct": spent.flops_per_correct if bounded else math.nan,
    }
    rival = standing.rival
    if rival is not None:
        numbers |= {
            "helper_score": rival.score,
            "to_helper": rival.difference.mean,
            "to_helper_low": rival.difference.low,
            "to_helper_high": rival.difference.high,
        }
    cells = dict.fromkeys(DATA, "")
    cells |= {name: "" if math.isnan(value) else repr(value) for name, value in numbers.items()}
    words = {
        "task": task,
        "method": contender.label,
        "may_be_best": "yes" if standing.tied else "no",
        "verdict": standing.verdict,
    }
    if rival is not None:
        words |= {
            "helper": rival.name,
            "helper_role": rival.role,
            "to_helper_verdict": rival.verdict,
        }
    return tuple((cells | words)[name] for name in DATA)


def headline(bench: Bench) -> str:
    """One line on a bench: task, items, seeds, pool."""
    count, seeds = len(bench.first.answers), ", ".join(map(str, bench.seeds))
    plural = "seeds" if len(bench.seeds) > 1 else "seed"
    task, pool = bench.first.result.task, " + ".join(bench.members)
    return f"{task}: {count} items, {plural} {seeds}, pool {pool}"


def footnote(bench: Bench) -> str:
    """What the members and helpers do alone, and where the ceiling of the pool is."""
    result, bounds = bench.first.result, bench.ceiling
    alone = [f"{name} {np.mean(scores):.3f}" for name, scores in bench.single_scores.items()]
    reach = f"the best member's answer to each item {bounds.oracle:.3f}"
    if bench.bounded:
        reach = f"some member solves {bounds.some:.1%} of the items, every member {bounds.all:.1%}"
    lines = [
        f"{result.task}, members alone: {', '.join(alone)}; best single on dev: "
        f"{result.best_single.name} ({result.decoding()}); {reach}"
    ]
    helpers = [
        f"{one.name} ({', '.join(one.roles)}) {np.mean(one.values):.3f}" for one in bench.helpers
    ]
    if helpers:
        lines.append(f"{result.task}, helpers alone: {', '.join(helpers)}")
    lines += [
        f"{result.task}: {standing.contender.label} {standing.score.mean:.3f} vs its "
        f"{rival.role} {rival.name} alone {rival.score:.3f}: {rival.difference.mean:+.3f} "
        f"[{rival.difference.low:+.3f}, {rival.difference.high:+.3f}]"
        for standing in bench.standings
        if (rival := standing.rival) is not None and rival.verdict in RIVALS
    ]
    return "\n".join(lines)


def legend(benches: Sequence[Bench]) -> str:
    """What the marks of a table mean."""
    rivals = [one.rival for bench in benches for one in bench.standings if one.rival is not None]
    marked = any(rival.verdict in RIVALS for rival in rivals)
    return f"{LEGEND}\n{RIVALS_LEGEND}" if marked else LEGEND


def notes(benches: Sequence[Bench]) -> str:
    """What stands below a table of several benches."""
    return "\n".join([*map(footnote, benches), legend(benches)])
