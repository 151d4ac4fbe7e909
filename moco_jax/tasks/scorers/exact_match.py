"""Exact match: the extracted answer states the same value or words as one of the golds."""

from moco_jax.tasks.extraction import extract_answer
from moco_jax.tasks.items import Gold, Item
from moco_jax.tasks.numbers import Number, parse_number, parse_numbers, same_number
from moco_jax.tasks.scorers.base import Scorer
from moco_jax.tasks.scorers.fields import read_free_text
from moco_jax.tasks.spelling import canonical_text, plain


def extract(item: Item, text: str) -> str | None:
    """The final answer; the whole text where nothing marks one."""
    return extract_answer(text)


def canonical(item: Item, parsed: str) -> str:
    """One spelling per value, see `canonical_text`."""
    return canonical_text(parsed)


def compare(item: Item, gold: Gold, parsed: str) -> float:
    """1.0 where the answer equals one of the golds, else 0.0."""
    typed_float = gold.answer_type is not None and gold.answer_type.endswith("float")
    return float(any(equal(parsed, answer, typed_float) for answer in gold.answers))


def equal(parsed: str, answer: str, typed_float: bool = False) -> bool:
    """Same spelling, or numbers (lists of numbers) that `same_number` takes for the same."""
    if canonical_text(parsed) == canonical_text(answer):
        return True
    given, wanted = _numbers(parsed), _numbers(answer)
    if given is None or wanted is None or len(given) != len(wanted):
        return False
    return all(
        same_number(one, other, typed_float) for one, other in zip(given, wanted, strict=True)
    )


def _numbers(text: str) -> tuple[Number, ...] | None:
    """A number as a list of one."""
    text = plain(text)
    number = parse_number(text)
    return parse_numbers(text) if number is None else (number,)


SCORER = Scorer(read_free_text, extract, canonical, compare)
