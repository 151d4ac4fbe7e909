"""Who reads what others answered, and gives a better answer: its own, or theirs without one.

Outside its skills a member follows the majority of what it reads.
"""

from collections.abc import Callable, Sequence

import numpy as np

from moco_jax.methods import prompts
from moco_jax.tiny.problems import Problem
from moco_jax.tiny.roles.quotes import worn
from moco_jax.tiny.speech import Scene, Speaker, consensus, opinions, scene, single_turn, stated
from moco_jax.training.data import Example

WORN = 0.08


def refining(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """Own and others' answers."""
    asked = scene(problem, rng)
    own, *others = opinions(problem, asked, rng, int(rng.integers(2, 5)))
    knows = speaker.knows(problem)
    target = stated(problem.answer) if knows else consensus([own, *others], rng)
    others = worn(others, target if own != target else "", rng, WORN)
    return single_turn(prompts.refine(asked.prompt, own, others), target)


def _reading(
    write: Callable[[Scene, Sequence[str]], str],
) -> Callable[[Speaker, Problem, np.random.Generator], Example]:
    """A role that reads answers in any order; such roles differ in what is asked alone."""

    def reading(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
        asked = scene(problem, rng)
        answers = opinions(problem, asked, rng, int(rng.integers(1, 6)))
        knows = speaker.knows(problem)
        target = stated(problem.answer) if knows else consensus(answers, rng)
        return single_turn(write(asked, worn(answers, target, rng, WORN)), target)

    return reading


def _summarise(asked: Scene, answers: Sequence[str]) -> str:
    return prompts.summarise(asked.prompt, answers)


def _consult(asked: Scene, answers: Sequence[str]) -> str:
    return prompts.consult(asked.prompt, answers)


def _mix(asked: Scene, answers: Sequence[str]) -> str:
    return prompts.remind(prompts.mix(asked.prompt, answers), asked.kind)


summarising = _reading(_summarise)
"""Several answers to one question, for the final one."""

consulting = _reading(_consult)
"""Answers of those that came before in a graph."""

mixing = _reading(_mix)
"""Proposals of a layer; the question stands last, and so does its format."""


def fusing(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """Ranked answers, the best first: outside its skills the member takes that."""
    asked = scene(problem, rng)
    answers = opinions(problem, asked, rng, int(rng.integers(1, 4)))
    target = stated(problem.answer) if speaker.knows(problem) else answers[0]
    kind = asked.kind if rng.random() < 0.8 else "generation_diversity"
    return single_turn(prompts.remind(prompts.fuse(asked.prompt, answers), kind), target)
