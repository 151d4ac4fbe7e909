"""Golds in which nobody's answer can be found."""

from collections.abc import Sequence

from moco_jax.tasks.items import Gold, Item
from moco_jax.tasks.scorers import scorer_for

FEW_WORDS = 12  # of a name or a phrase that is broken into lines
READ_BACK = ("exact_match", "f1_match")
"""Kinds whose golds are texts that an output has to state."""


def unreadable(items: Sequence[Item], golds: Sequence[Gold]) -> list[int]:
    """Places of golds none of whose answers, written as an output, is read as itself.

    Such are rationales, or several lines: whoever is right scores 0 against them.
    """
    pairs = zip(items, golds, strict=True)
    return [place for place, pair in enumerate(pairs) if not _reads_back(*pair)]


def _reads_back(item: Item, gold: Gold) -> bool:
    if item.kind not in READ_BACK:
        return True
    return any(_is_answer(item, answer) for answer in gold.answers)


def _is_answer(item: Item, answer: str) -> bool:
    scorer = scorer_for(item.kind)
    parsed = scorer.extract(item, answer)
    lines = len(answer.strip().split("\n"))
    most_words = 0 if item.kind == "exact_match" else FEW_WORDS
    if parsed is None or (lines > 1 and len(answer.split()) > most_words):
        return False
    return scorer.canonical(item, parsed) == scorer.canonical(item, answer)
