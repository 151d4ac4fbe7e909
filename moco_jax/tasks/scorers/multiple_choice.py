"""Multiple choice: the letter an output settles on, against the gold's letter."""

from collections.abc import Mapping
from typing import Any

from moco_jax.tasks.choice_letters import stated_letter
from moco_jax.tasks.items import Gold, Item
from moco_jax.tasks.scorers.base import Content, Scorer
from moco_jax.tasks.scorers.fields import text_field
from moco_jax.tasks.templates import LETTERS


def read(row: Mapping[str, Any]) -> Content:
    """A row `{question, choices: {key: text}, answer: key}`; keys become positional letters."""
    question = text_field(row, "question")
    choices = row.get("choices")
    if not isinstance(choices, dict) or not 2 <= len(choices) <= len(LETTERS):
        raise ValueError(f"field 'choices' must be an object of 2 to {len(LETTERS)} options")
    texts = tuple(str(text).replace("\0", "").strip() for text in choices.values())
    if row.get("answer") is None:
        return Content(question, texts, None)
    keys, answer = list(choices), str(row["answer"])
    if answer not in keys:
        raise ValueError(f"field 'answer' is {answer!r}, which is no key of 'choices' ({keys})")
    return Content(question, texts, Gold((LETTERS[keys.index(answer)],)))


def extract(item: Item, text: str) -> str | None:
    """The positional letter of the option the output settles on."""
    return stated_letter(text, item.choices)


def canonical(item: Item, parsed: str) -> str:
    """Letters are canonical as extracted."""
    return parsed


def compare(item: Item, gold: Gold, parsed: str) -> float:
    """1.0 for the gold's letter, else 0.0."""
    return float(parsed in gold.answers)


SCORER = Scorer(read, extract, canonical, compare)
