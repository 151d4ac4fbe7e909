"""The two packaged tasks: `tiny_mix` (exact match) and `tiny_choice` (multiple choice)."""

import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from moco_jax.tasks.templates import LETTERS
from moco_jax.tiny import skills, speech
from moco_jax.tiny.problems import SKILLS, Problem, Split

DEV_PER_SKILL = 68
TEST_PER_SKILL = {"tiny_mix": 120, "tiny_choice": 100}
HARD_SHARE = 0.05
SEED = 2024

Row = dict[str, Any]


def exact_row(problem: Problem, rng: np.random.Generator) -> Row:
    """A row of an exact-match task."""
    del rng
    return {"input": problem.question, "output": problem.answer}


def choice_row(problem: Problem, rng: np.random.Generator) -> Row:
    """A row of a multiple-choice task; the wrong options look like right ones."""
    texts, letter = speech.options(problem, rng)
    choices = dict(zip(LETTERS, texts, strict=False))
    return {"question": problem.question, "choices": choices, "answer": letter}


KINDS: dict[str, tuple[str, Callable[[Problem, np.random.Generator], Row]]] = {
    "tiny_mix": ("exact_match", exact_row),
    "tiny_choice": ("multiple_choice", choice_row),
}


def distinct(skill: str, count: int, split: Split, rng: np.random.Generator) -> list[Problem]:
    """`count` different problems of a skill, the last few of them beyond every member."""
    hard = round(HARD_SHARE * count)
    found: dict[str, Problem] = {}
    while len(found) < count:
        problem = skills.draw(skill, rng, split, hard=len(found) >= count - hard)
        found.setdefault(problem.question, problem)
    return list(found.values())


def build_task(name: str) -> dict[str, Any]:
    """The content of a task's file, in the reference's format; the same at every call.

    Every row also names its `skill`. The skills take turns, so any head of the file is balanced.
    """
    kind, make = KINDS[name]
    rng = np.random.default_rng(SEED)
    content: dict[str, Any] = {"name": name, "task_type": kind}
    sizes: dict[Split, int] = {"dev": DEV_PER_SKILL, "test": TEST_PER_SKILL[name]}
    for split, count in sizes.items():
        columns = [distinct(skill, count, split, rng) for skill in SKILLS]
        for column in columns:
            rng.shuffle(column)
        problems = [problem for row in zip(*columns, strict=True) for problem in row]
        content[split] = [
            {"id": number, "skill": problem.skill, **make(problem, rng)}
            for number, problem in enumerate(problems)
        ]
    return content


def write_tasks(directory: pathlib.Path) -> None:
    """Writes both tasks as `<name>.json`."""
    for name in KINDS:
        text = json.dumps(build_task(name), indent=1)
        (directory / f"{name}.json").write_text(text + "\n")
