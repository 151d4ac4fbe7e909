"""IFEval (arXiv 2311.07911): the share of an item's verifiable instructions that a text follows."""

from collections.abc import Mapping
from typing import Any

from moco_jax.tasks.instructions import instruction
from moco_jax.tasks.items import Gold, Item
from moco_jax.tasks.markup import strip_thinking
from moco_jax.tasks.scorers.base import Content, Scorer
from moco_jax.tasks.scorers.fields import raw_field


def read(row: Mapping[str, Any]) -> Content:
    """A row `{input, instruction_id_list, kwargs}`, the last two parallel."""
    question = raw_field(row, "input")
    ids, settings = row.get("instruction_id_list"), row.get("kwargs")
    if not isinstance(ids, list) or not isinstance(settings, list) or len(ids) != len(settings):
        raise ValueError("fields 'instruction_id_list' and 'kwargs' must be lists of one length")
    if not ids:
        raise ValueError("field 'instruction_id_list' is empty; an item needs an instruction")
    pairs = zip(ids, settings, strict=True)
    instructions = tuple(instruction(str(id), kwargs or {}) for id, kwargs in pairs)
    return Content(question, (), Gold((), details={"instructions": instructions}))


def extract(item: Item, text: str) -> str | None:
    """The text after the thinking, as it stands; None where it is blank."""
    text = strip_thinking(text)
    return text if text.strip() else None


def canonical(item: Item, parsed: str) -> str:
    """The text with its blanks collapsed."""
    return " ".join(parsed.split())


def compare(item: Item, gold: Gold, parsed: str) -> float:
    """Followed instructions over all instructions; 1.0 is what the paper calls prompt-level."""
    instructions = gold.details["instructions"]
    return sum(each.followed(parsed) for each in instructions) / len(instructions)


SCORER = Scorer(read, extract, canonical, compare)
