"""Scoring outputs against golds: the pure function under `Task.score`."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from moco_jax.tasks.items import Gold, Item, Outcome, Score
from moco_jax.tasks.scorers import scorer_for


def score_items(
    items: Sequence[Item], golds: Sequence[Gold], outputs: Sequence[str | None]
) -> list[Score]:
    """Scores one output per item.

    Items that share a `group` count only when every item of the group that stands in this call
    is right. A group of which only a part is passed is judged by that part, so a single item is
    scored on its own.

    Args:
        items: the questions.
        golds: parallel to `items`.
        outputs: parallel to `items`; None counts as the empty text.

    Returns:
        One score per item, in order.

    Raises:
        ValueError: the three lengths differ, a kind has no scorer, or its scorer misses a tool.
    """
    if not len(items) == len(golds) == len(outputs):
        raise ValueError(
            f"{len(items)} items, {len(golds)} golds and {len(outputs)} outputs: scoring needs "
            "one gold and one output per item, in the same order"
        )
    for kind in {item.kind for item in items}:
        scorer_for(kind).ready()
    rows = zip(items, golds, outputs, strict=True)
    return _all_or_nothing(items, [_score_one(item, gold, text) for item, gold, text in rows])


def _score_one(item: Item, gold: Gold, output: str | None) -> Score:
    scorer = scorer_for(item.kind)
    parsed = scorer.extract(item, output or "")
    if parsed is None:
        return Score(0.0, None, "unparsed")
    value = scorer.compare(item, gold, parsed)
    return Score(value, parsed, _outcome(value))


def _outcome(value: float) -> Outcome:
    if value >= 1.0:
        return "correct"
    return "partial" if value > 0.0 else "wrong"


def _all_or_nothing(items: Sequence[Item], scores: list[Score]) -> list[Score]:
    """Zeroes the items of every group that holds an item which is not fully right."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(items):
        if item.group is not None:
            groups[item.group].append(index)
    for members in groups.values():
        if any(scores[index].value < 1.0 for index in members):
            for index in members:
                outcome: Outcome = "unparsed" if scores[index].parsed is None else "wrong"
                scores[index] = replace(scores[index], value=0.0, outcome=outcome)
    return scores
