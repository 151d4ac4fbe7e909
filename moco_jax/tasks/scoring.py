"""Scoring outputs against golds: the pure function under `Task.score`."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from moco_jax.tasks.items import Gold, Item, Outcome, Score
from moco_jax.tasks.judging import Judge, Judges, judge_of
from moco_jax.tasks.sandbox import Program, RunPrograms, run_programs
from moco_jax.tasks.scorers import scorer_for
from moco_jax.tasks.scorers.base import Judged, Programmed, Scorer

Row = tuple[Item, Gold, str]


def score_items(
    items: Sequence[Item],
    golds: Sequence[Gold],
    outputs: Sequence[str | None],
    judges: Judges | None = None,
    runner: RunPrograms = run_programs,
) -> list[Score]:
    """Scores one output per item.

    Items that share a `group` count only when every item of the group that stands in this call
    is right. A group of which only a part is passed is judged by that part, so a single item is
    scored on its own. Of an item that stands in the call several times, the first outputs of all
    make one sample of the group, the second ones the next, and samples are judged apart.

    Args:
        items: the questions.
        golds: parallel to `items`.
        outputs: parallel to `items`; None counts as the empty text.
        judges: models by role, for the kinds that need one.
        runner: what runs programs, for the kinds whose answers are such.

    Returns:
        One score per item, in order.

    Raises:
        ValueError: the three lengths differ, a kind has no scorer, or its scorer misses a tool or
            a judge.
    """
    if not len(items) == len(golds) == len(outputs):
        raise ValueError(
            f"{len(items)} items, {len(golds)} golds and {len(outputs)} outputs: scoring needs "
            "one gold and one output per item, in the same order"
        )
    places: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(items):
        places[item.kind].append(index)
    scores: dict[int, Score] = {}
    for kind, chosen in places.items():
        rows = [(items[index], golds[index], outputs[index] or "") for index in chosen]
        scores |= zip(chosen, _score_kind(kind, rows, judges, runner), strict=True)
    return _all_or_nothing(items, [scores[index] for index in range(len(items))])


def _score_kind(
    kind: str, rows: Sequence[Row], judges: Judges | None, runner: RunPrograms
) -> list[Score]:
    """Scores rows of one kind, in order."""
    scorer = scorer_for(kind)
    scorer.ready()
    if scorer.judged is not None:
        return _judge(scorer.judged, judge_of(kind, scorer.judged.role, judges), scorer, rows)
    if scorer.programmed is not None:
        return _run(scorer.programmed, runner, scorer, rows)
    return [_score_one(scorer, *row) for row in rows]


def _score_one(scorer: Scorer, item: Item, gold: Gold, output: str) -> Score:
    parsed = scorer.extract(item, output)
    if parsed is None:
        return Score(0.0, None, "unparsed")
    value = scorer.compare(item, gold, parsed)
    return Score(value, parsed, _outcome(value))


def _judge(judged: Judged, judge: Judge, scorer: Scorer, rows: Sequence[Row]) -> list[Score]:
    """Puts all answers there are to the judge at once."""
    parsed = [scorer.extract(item, output) for item, _, output in rows]
    cases = [
        judged.case(item, gold, answer)
        for (item, gold, _), answer in zip(rows, parsed, strict=True)
        if answer is not None
    ]
    values = list(judge(cases)) if cases else []
    if len(values) != len(cases):
        raise ValueError(
            f"the {judged.role} gave {len(values)} values for {len(cases)} cases; a judge must "
            "give one per case, in order"
        )
    found = iter(values)
    return [_judged_score(judged, answer, found) for answer in parsed]


def _run(
    programmed: Programmed, runner: RunPrograms, scorer: Scorer, rows: Sequence[Row]
) -> list[Score]:
    """Runs all programs there are at once; answers that are none go by the rule."""
    answers = [scorer.extract(item, output) for item, _, output in rows]
    programs: dict[int, Program] = {}
    for index, ((item, gold, _), answer) in enumerate(zip(rows, answers, strict=True)):
        program = None if answer is None else programmed.program(item, gold, answer)
        if program is not None:
            programs[index] = program
    results = dict(zip(programs, runner(list(programs.values())), strict=True))
    scores: list[Score] = []
    for index, ((item, gold, _), answer) in enumerate(zip(rows, answers, strict=True)):
        if answer is None:
            scores.append(Score(0.0, None, "unparsed"))
            continue
        ran = results.get(index)
        settled = programmed.value(gold, ran) if ran else scorer.compare(item, gold, answer)
        scores.append(Score(settled, answer, _outcome(settled)))
    return scores


def _judged_score(judged: Judged, answer: str | None, values: Iterator[float]) -> Score:
    if answer is None:
        return Score(0.0, None, "unparsed")
    value = float(next(values))
    return Score(value, answer, _outcome(value) if judged.bounded else "scored")


def _outcome(value: float) -> Outcome:
    if value >= 1.0:
        return "correct"
    return "partial" if value > 0.0 else "wrong"


def _all_or_nothing(items: Sequence[Item], scores: list[Score]) -> list[Score]:
    """Zeroes the items of every sample of a group that holds one which is not fully right."""
    groups: dict[tuple[str, int], list[int]] = defaultdict(list)
    met: Counter[tuple[str, str]] = Counter()
    for index, item in enumerate(items):
        if item.group is not None and scores[index].outcome != "scored":
            sample = met[item.id, item.key]
            met[item.id, item.key] += 1
            groups[item.group, sample].append(index)
    for members in groups.values():
        if any(scores[index].value < 1.0 for index in members):
            for index in members:
                outcome: Outcome = "unparsed" if scores[index].parsed is None else "wrong"
                scores[index] = replace(scores[index], value=0.0, outcome=outcome)
    return scores
