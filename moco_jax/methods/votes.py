"""Counting answers: what a vote is, what it weighs, and how ties are broken."""

from collections.abc import Sequence

import numpy as np

from moco_jax.decoding.keys import digest
from moco_jax.tasks import Item
from moco_jax.tasks.scorers import scorer_for

VOTED = ("multiple_choice", "exact_match", "f1_match")
"""Kinds of task whose answers can be compared with each other."""

TOLERANCE = 1e-9


def chance(seed: int, purpose: str, item: str) -> np.random.Generator:
    """The host's randomness for one item: the same whatever other items there are, in any order.

    Args:
        seed: the run's.
        purpose: a constant that stands where it is used, so that no other name draws anew.
        item: `Item.key`, or the name of what is drawn for all items.
    """
    return np.random.default_rng(int(digest(seed, purpose, item)[:16], 16))


def vote_of(item: Item, text: str) -> str | None:
    """The answer that a text gives, in its one spelling; None where it gives none.

    Raises:
        ValueError: a multiple-choice question has no options to tell apart.
    """
    if item.kind == "multiple_choice" and not item.choices:
        raise ValueError(
            "a vote on multiple choice compares options, and this question has none: "
            f"{item.question!r}; write each on a line of its own, such as A) red"
        )
    scorer = scorer_for(item.kind)
    parsed = scorer.extract(item, text)
    return None if parsed is None else scorer.canonical(item, parsed)


def tally(votes: Sequence[str | None], weights: Sequence[float] | None = None) -> dict[str, float]:
    """Weight of every answer, in order of first appearance; who gave none is not counted.

    Args:
        votes: canonical answers.
        weights: one per vote; 1 each by default.
    """
    counts: dict[str, float] = {}
    for vote, weight in zip(votes, weights or [1.0] * len(votes), strict=True):
        if vote is not None:
            counts[vote] = counts.get(vote, 0.0) + weight
    return counts


def leaders(counts: dict[str, float]) -> list[str]:
    """All answers with the highest count, in order of first appearance."""
    if not counts:
        return []
    top = max(counts.values())
    return [answer for answer, count in counts.items() if count >= top - TOLERANCE]


def first_voter(votes: Sequence[str | None], answers: Sequence[str], order: Sequence[int]) -> int:
    """The first in `order` whose vote is among `answers`; the first of all if there is none."""
    return next((index for index in order if votes[index] in answers), order[0])
