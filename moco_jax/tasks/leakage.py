"""Test questions that also stand in dev: what was selected on dev has seen them."""

import unicodedata

from moco_jax.tasks.items import Item
from moco_jax.tasks.task import Task


def leaked_indices(task: Task) -> list[int]:
    """Positions in test whose question, case and spacing aside, also stands in dev.

    The options count as part of a multiple-choice question.
    """
    seen = {_normalised(item) for item in task.dev.items}
    return [i for i, item in enumerate(task.test.items) if _normalised(item) in seen]


def _normalised(item: Item) -> str:
    return " ".join(unicodedata.normalize("NFKC", item.question).casefold().split())
