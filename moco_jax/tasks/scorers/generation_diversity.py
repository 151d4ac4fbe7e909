"""Generation diversity (arXiv 2510.22954): how far an answer is from what models usually say.

1 minus the mean cosine similarity between the embedding of the answer and those of the item's
references; 0 is a copy, and more is more diverse. Nothing here asks whether the answer is any good.
"""

from collections.abc import Mapping
from typing import Any

from moco_jax.tasks.items import Gold, Item
from moco_jax.tasks.judging import Case
from moco_jax.tasks.scorers import reward_model
from moco_jax.tasks.scorers.base import Content, Judged, Scorer, left_to_a_judge
from moco_jax.tasks.scorers.fields import text_field


def read(row: Mapping[str, Any]) -> Content:
    """A row `{input, reference: [texts]}`."""
    texts = row.get("reference")
    if not isinstance(texts, list) or not texts or not all(isinstance(t, str) for t in texts):
        raise ValueError("field 'reference' must be a list of one text or more to differ from")
    return Content(text_field(row, "input"), (), Gold(tuple(texts)))


def extract(item: Item, text: str) -> str | None:
    """The text after the thinking; None where it is blank, which differs from everything."""
    return reward_model.extract(item, text) or None


def case(item: Item, gold: Gold, parsed: str) -> Case:
    """The answer against the references."""
    return Case(item.prompt, parsed, gold.answers)


SCORER = Scorer(
    read,
    extract,
    reward_model.canonical,
    left_to_a_judge,
    judged=Judged("embedding_model", case, bounded=False),
)
