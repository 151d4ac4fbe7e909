"""Test questions that were met before: in dev, or in the texts that a method trains on."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

from moco_jax.tasks.items import Item
from moco_jax.tasks.task import Task
from moco_jax.tasks.templates import option_lines

KEY_WORDS = 8
"""A question is looked for by this many of its first words, then compared whole."""


def leaked_indices(task: Task) -> list[int]:
    """Positions in test whose question, case and spacing aside, also stands in dev.

    The options count as part of a multiple-choice question.
    """
    seen = {_normalised(item.question) for item in task.dev.items}
    return [i for i, item in enumerate(task.test.items) if _normalised(item.question) in seen]


def distinct_questions(items: Iterable[Item]) -> int:
    """How many different questions items ask, case and spacing aside."""
    return len({_normalised(item.question) for item in items})


def indices_in_texts(items: Sequence[Item], texts: Iterable[str]) -> list[int]:
    """Positions of items whose whole question stands, as words in a row, in one of the texts.

    Case, spacing and options do not count, since training data put questions in their own way.
    Takes time linear in the texts.

    Args:
        items: the questions.
        texts: what was trained on; read once.
    """
    wanted: dict[tuple[str, ...], set[tuple[str, ...]]] = defaultdict(set)
    questions = [tuple(_bare(item).split()) for item in items]
    for words in questions:
        if words:
            wanted[words[:KEY_WORDS]].add(words)
    lengths = sorted({len(key) for key in wanted})
    found: set[tuple[str, ...]] = set()
    for text in texts:
        words = tuple(_normalised(text).split())
        for start in range(len(words)):
            for length in lengths:
                for question in wanted.get(words[start : start + length], ()):
                    if words[start : start + len(question)] == question:
                        found.add(question)
    return [index for index, words in enumerate(questions) if words in found]


def _bare(item: Item) -> str:
    """The question without its options."""
    return _normalised(item.question.removesuffix("\n" + option_lines(item.choices)))


def _normalised(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
