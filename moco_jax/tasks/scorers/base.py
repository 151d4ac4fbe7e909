"""What a scorer is: a few pure functions and no state."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from moco_jax.tasks.items import Gold, Item
from moco_jax.tasks.judging import Case
from moco_jax.tasks.sandbox import Program, Result


@dataclass(frozen=True)
class Content:
    """What a row of a file says: the question, its options, and what is right.

    Attributes:
        question: bare question text.
        choices: option texts, empty where there are none.
        gold: None where the row cannot be scored, so that it is left out and counted.
    """

    question: str
    choices: tuple[str, ...]
    gold: Gold | None


def always_ready() -> None:
    """Scoring needs nothing beyond the library."""


def left_to_a_judge(item: Item, gold: Gold, parsed: str) -> float:
    """Stands where a rule would compare; `score_items` asks the kind's judge instead."""
    raise ValueError(f"{item.kind} tasks have no rule to compare by; use score_items with judges")


def left_to_a_program(item: Item, gold: Gold, parsed: str) -> float:
    """Stands where a rule would compare; `score_items` runs the kind's program instead."""
    raise ValueError(f"{item.kind} tasks have no rule to compare by; use score_items")


@dataclass(frozen=True)
class Programmed:
    """How one kind of task is settled by running what the model wrote.

    Attributes:
        program: (item, gold, extracted answer) to what runs; None where `compare` settles it.
        value: (gold, what became of the program) to a value between 0 and 1.
        gpu: whether the programs measure code on a GPU.
    """

    program: Callable[[Item, Gold, str], Program | None]
    value: Callable[[Gold, Result], float]
    gpu: bool = False


@dataclass(frozen=True)
class Judged:
    """How one kind of task is put to a model that judges it.

    Attributes:
        role: which judge; a key of `judging.ROLES`.
        case: (item, gold, extracted answer) to what the judge sees.
        bounded: whether values lie between 0 and 1; others have the outcome `scored`.
    """

    role: str
    case: Callable[[Item, Gold, str], Case]
    bounded: bool = True


@dataclass(frozen=True)
class Scorer:
    """How one kind of task is read and judged.

    Attributes:
        read: a row of the file to its content; a ValueError names the field that is wrong.
        extract: (item, output) to the answer it gives or None; sees no gold, never raises, and
            takes time linear in the output.
        canonical: (item, extracted answer) to one spelling per value, for voting.
        compare: (item, gold, extracted answer) to a value between 0 and 1.
        ready: raises a ValueError that names what scoring needs and this machine lacks.
        judged: for kinds that a model judges, how; None where `compare` does.
        programmed: for kinds whose answers are programs, how they are run; else None.
    """

    read: Callable[[Mapping[str, Any]], Content]
    extract: Callable[[Item, str], str | None]
    canonical: Callable[[Item, str], str]
    compare: Callable[[Item, Gold, str], float]
    ready: Callable[[], None] = always_ready
    judged: Judged | None = None
    programmed: Programmed | None = None
