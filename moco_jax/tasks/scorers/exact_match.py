"""Exact match: the extracted answer states the same value or words as one of the golds."""

from moco_jax.tasks.extraction import extract_answer
from moco_jax.tasks.items import Gold, Item
from moco_jax.tasks.mathematics import same_mathematics
from moco_jax.tasks.numbers import parse_numbers, same_number, spell
from moco_jax.tasks.scorers.base import Scorer
from moco_jax.tasks.scorers.fields import read_free_text
from moco_jax.tasks.spelling import canonical_text, plain
from moco_jax.tasks.units import goes_on, parse_measure, same_measure, split_unit


def extract(item: Item, text: str) -> str | None:
    """The final answer; the whole text where nothing marks one."""
    return extract_answer(text)


def canonical(item: Item, parsed: str) -> str:
    """One spelling per value, see `canonical_text`; of a number with its unit, the number."""
    measure = parse_measure(plain(parsed))
    return spell(measure.number) if measure is not None and measure.unit else canonical_text(parsed)


def compare(item: Item, gold: Gold, parsed: str) -> float:
    """1.0 where the answer equals one of the golds, else 0.0."""
    typed_float = gold.answer_type is not None and gold.answer_type.endswith("float")
    return float(any(equal(parsed, answer, typed_float) for answer in gold.answers))


def equal(parsed: str, answer: str, typed_float: bool = False) -> bool:
    """Same spelling, or numbers (lists of numbers) that `same_number` takes for the same.

    A unit that only one side writes counts for nothing; two different units are two answers.

    What is not decided by these and looks like mathematics on both sides goes to math-verify.
    """
    if canonical_text(parsed) == canonical_text(answer):
        return True
    given, wanted = plain(parsed), plain(answer)
    measure, gold = parse_measure(given), parse_measure(wanted)
    if measure is not None and gold is not None:
        return same_measure(measure, gold, typed_float)
    if (measure is None) != (gold is None) and goes_on(given if measure is None else wanted):
        return False
    (given, counted), (wanted, asked) = split_unit(given), split_unit(wanted)
    if counted and asked and counted != asked:
        return False
    if (counted or asked) and canonical_text(given) == canonical_text(wanted):
        return True
    numbers, golds = parse_numbers(given), parse_numbers(wanted)
    if numbers is None or golds is None:
        return same_mathematics(parsed, answer)
    if len(numbers) != len(golds):
        return False
    return all(same_number(*pair, typed_float) for pair in zip(numbers, golds, strict=True))


SCORER = Scorer(read_free_text, extract, canonical, compare)
