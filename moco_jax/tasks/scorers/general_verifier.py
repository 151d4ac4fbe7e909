"""General verifier (arXiv 2505.14652): a model says whether the answer equals the accepted one."""

from collections.abc import Mapping
from typing import Any

from moco_jax.tasks.extraction import extract_answer
from moco_jax.tasks.items import Gold, Item
from moco_jax.tasks.judging import Case
from moco_jax.tasks.scorers import multiple_choice
from moco_jax.tasks.scorers.base import Content, Judged, Scorer, left_to_a_judge
from moco_jax.tasks.scorers.fields import read_free_text, text_field
from moco_jax.tasks.spelling import canonical_text
from moco_jax.tasks.templates import LETTERS, option_lines

QUESTIONS = ("input", "question", "prompt")


def read(row: Mapping[str, Any]) -> Content:
    """A row of any kind with a question and an answer.

    The question stands in `input`, `question` or `prompt`; with `choices`, their lines follow it
    and the accepted answer is the text of the right one. The answer stands in `output` or `answer`.
    A row whose answer is null has no gold.
    """
    if "choices" in row:
        content = multiple_choice.read(row)
        question = f"{content.question}\n{option_lines(content.choices)}"
        if content.gold is None:
            return Content(question, (), None)
        return Content(question, (), Gold((content.choices[_place(content.gold)],)))
    name = next((name for name in QUESTIONS if name in row), QUESTIONS[0])
    question = text_field(row, name)
    if "output" not in row and "answer" not in row:
        raise ValueError(f"field 'output' (or 'answer') is missing; the row has {sorted(row)}")
    answer = row.get("output") if row.get("output") is not None else row.get("answer")
    if isinstance(answer, list):
        answer = ", ".join(map(str, answer))
    return read_free_text({**row, "input": question, "output": answer})


def _place(gold: Gold) -> int:
    return LETTERS.index(gold.answers[0])


def extract(item: Item, text: str) -> str | None:
    """The final answer; the whole text where nothing marks one, None where it is blank."""
    return extract_answer(text)


def canonical(item: Item, parsed: str) -> str:
    """One spelling per value, as for exact match."""
    return canonical_text(parsed)


def case(item: Item, gold: Gold, parsed: str) -> Case:
    """The answer against the accepted one, or against any of several."""
    return Case(item.question, parsed, (" or ".join(gold.answers),))


SCORER = Scorer(read, extract, canonical, left_to_a_judge, judged=Judged("verifier", case))
