"""The values every part of this room passes around: items, golds, splits, scores."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["correct", "partial", "wrong", "unparsed", "scored"]


@dataclass(frozen=True)
class Item:
    """One question as a model meets it. It never holds the gold answer.

    Attributes:
        id: split and row number in the file, `"test/17"`; unique within a task.
        prompt: final user text, the question with the format instruction.
        question: the bare question; for multiple choice with its option lines.
        choices: option texts; their letters are positional (A, B, ...).
        kind: how the answer is read and scored, such as `"multiple_choice"`.
        group: items with the same group are scored together, see `score_items`.
    """

    id: str
    prompt: str
    question: str
    choices: tuple[str, ...] = ()
    kind: str = field(kw_only=True)
    group: str | None = None


@dataclass(frozen=True)
class Gold:
    """What counts as right for one item.

    Attributes:
        answers: every accepted answer; for multiple choice the one positional letter.
        answer_type: what the file says the answer is (`"float"`, `"list of integer"`, ...).
        details: what else the kind's scorer judges by, such as a category or hidden test data.
    """

    answers: tuple[str, ...]
    answer_type: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Split:
    """Items and their golds, in file order and parallel."""

    items: tuple[Item, ...]
    golds: tuple[Gold, ...]

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class Score:
    """What one output is worth.

    Attributes:
        value: 0 to 1, or any number where the outcome is `scored`.
        parsed: the answer as read from the output, None where none was found.
        outcome: `unparsed` says that no answer was found, whatever the reason.
    """

    value: float
    parsed: str | None
    outcome: Outcome
