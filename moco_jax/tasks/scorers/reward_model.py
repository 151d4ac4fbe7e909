"""Reward: what a reward model makes of the whole answer, any number; higher is better.

Kinds `reward_model` and `text_generation` are judged alike, on both splits.
"""

from collections.abc import Mapping
from typing import Any

from moco_jax.tasks.items import Gold, Item
from moco_jax.tasks.judging import Case
from moco_jax.tasks.markup import strip_thinking
from moco_jax.tasks.scorers.base import Content, Judged, Scorer, left_to_a_judge
from moco_jax.tasks.scorers.fields import text_field


def read(row: Mapping[str, Any]) -> Content:
    """A row `{input}`; a stored `output` is somebody else's answer and is not used."""
    return Content(text_field(row, "input"), (), Gold(()))


def extract(item: Item, text: str) -> str:
    """The text after the thinking. A blank one counts: 0 would beat what rewards put below 0."""
    return strip_thinking(text).strip()


def canonical(item: Item, parsed: str) -> str:
    """White space apart, texts are equal or they are not."""
    return " ".join(parsed.split())


def case(item: Item, gold: Gold, parsed: str) -> Case:
    """The conversation of one user and one assistant turn."""
    return Case(item.prompt, parsed)


SCORER = Scorer(
    read, extract, canonical, left_to_a_judge, judged=Judged("reward_model", case, bounded=False)
)
