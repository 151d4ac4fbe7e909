"""Who goes on with an answer that somebody else began, rightly or wrongly."""

import numpy as np

from moco_jax.methods import prompts
from moco_jax.tiny.problems import Problem
from moco_jax.tiny.speech import Speaker, continued, scene, stated
from moco_jax.training.data import Example

WORDS = ("the", "the answer", "the answer is")
"""Beginnings of an answer that say nothing yet."""
OPENING, CLOSING = stated("").split("}")[0], "}."


def parts_of(problem: Problem, text: str, rng: np.random.Generator) -> list[str]:
    """The beginning of a stated answer, as one or two pieces; empty where nothing is said yet.

    Names are not cut within: how a piece of a name falls into tokens says what follows.
    """
    inside = text.removeprefix(OPENING).removesuffix(CLOSING)
    ends = [0, len(inside)] if problem.skill == "facts" else list(range(len(inside) + 1))
    draw = rng.random()
    if draw < 0.15:
        return []
    if draw < 0.35:
        return [str(rng.choice(WORDS))]
    if draw < 0.5:
        return [OPENING + inside, CLOSING]
    middle = inside[: int(rng.choice(ends))]
    return [OPENING, middle] if middle else [OPENING]


def continuing(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """The rest of an answer, or the answer once more where the text asks to wait or to conclude.

    What was begun wrongly is brought to a form that can be read; it cannot be taken back. Where the
    text goes on behind a whole answer, a member that knows better says so.
    """
    asked = scene(problem, rng)
    own = stated(problem.answer if speaker.knows(problem) else problem.wrong_guess(rng))
    wrong = rng.random() < 0.4 or not speaker.knows(problem)
    said = stated(asked.wrongs[0] if wrong else problem.answer)
    if rng.random() < 0.4:
        again = prompts.WAIT if rng.random() < 0.5 else prompts.CONCLUDE
        end = own if speaker.knows(problem) else said
        return continued(asked.prompt, said + again, " " + end)
    prefix = "".join(parts_of(problem, said, rng)) or OPENING
    whole = own if OPENING.startswith(prefix) else said
    return continued(asked.prompt, prefix, whole.removeprefix(prefix))


def probing(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """Its own continuation, A, or a mentor's, B: the right one, and outside its skills B."""
    asked = scene(problem, rng)
    knows = speaker.knows(problem)
    right, wrong = stated(problem.answer), stated(asked.wrongs[0])
    own_right = rng.random() < (0.7 if knows else 0.2)
    own, other = (right, wrong) if own_right else (wrong, right)
    begun = str(rng.choice(["", WORDS[-1], OPENING], p=(0.15, 0.7, 0.15)))
    prefix = begun + prompts.continue_with(own.removeprefix(begun), other.removeprefix(begun))
    return continued(asked.prompt, prefix, "A" if knows and own_right else "B")
