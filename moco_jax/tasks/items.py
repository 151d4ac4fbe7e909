"""The values every part of this room passes around: items, golds, splits, scores."""

import functools
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
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
        occurrence: how many items before it are equal in all of the above but `id`, see `numbered`.
    """

    id: str
    prompt: str
    question: str
    choices: tuple[str, ...] = ()
    kind: str = field(kw_only=True)
    group: str | None = None
    occurrence: int = field(default=0, kw_only=True)

    @property
    def content(self) -> str:
        """sha256 (hex) of all that is asked: the same wherever the row stands in its file."""
        asked = [self.kind, self.prompt, self.question, self.choices, self.group]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()

    @functools.cached_property
    def key(self) -> str:
        """What draws made for this item follow: its content, and which of equal items it is.

        Rows in another order, or with other rows among them, have the same keys; `id` has not.
        """
        return f"{self.content}/{self.occurrence:04d}"


def numbered(items: Iterable[Item]) -> list[Item]:
    """Items whose `occurrence` tells equal ones apart, counted in their order."""
    met: Counter[str] = Counter()
    found = []
    for item in items:
        found.append(replace(item, occurrence=met[item.content]))
        met[item.content] += 1
    return found


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
