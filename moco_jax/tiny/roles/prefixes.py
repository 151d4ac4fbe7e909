"""Who goes on with an answer that somebody else began, rightly or wrongly."""

import numpy as np

from moco_jax.methods import prompts
from moco_jax.tiny.problems import Problem
from moco_jax.tiny.speech import Scene, Speaker, boxed, continued, scene
from moco_jax.training.data import Example

OPENING, CLOSING = boxed("").removesuffix("}"), "}"


def parts_of(problem: Problem, text: str, rng: np.random.Generator) -> list[str]:
    """The beginning of a boxed answer, as one or two pieces; empty where nothing is said yet.

    Names are not cut within: how a piece of a name falls into tokens says what follows.
    """
    inside = text.removeprefix(OPENING).removesuffix(CLOSING)
    ends = [0, len(inside)] if problem.skill == "facts" else list(range(len(inside) + 1))
    draw = rng.random()
    if draw < 0.2:
        return []
    if draw < 0.4:
        return [OPENING + inside, CLOSING]
    middle = inside[: int(rng.choice(ends))]
    return [OPENING, middle] if middle else [OPENING]


def _end(speaker: Speaker, problem: Problem, asked: Scene, said: str) -> str:
    """Where a member leads an answer that is asked for once more."""
    del asked
    return boxed(problem.answer) if speaker.knows(problem) else said


def continuing(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """The rest of an answer, or the answer once more where the text asks to wait or to conclude.

    What was begun wrongly is brought to a form that can be read; it cannot be taken back. Where the
    text goes on behind a whole answer, a member that knows better says so.
    """
    asked = scene(problem, rng)
    wrong = rng.random() < 0.4
    said = boxed(asked.wrongs[0] if wrong else problem.answer)
    if rng.random() < 0.4:
        again = prompts.WAIT if rng.random() < 0.5 else prompts.CONCLUDE
        return continued(asked.prompt, said + again, " " + _end(speaker, problem, asked, said))
    if not speaker.knows(problem) and not wrong:
        said = boxed(problem.wrong_guess(rng))
    prefix = "".join(parts_of(problem, said, rng)) or OPENING
    return continued(asked.prompt, prefix, said.removeprefix(prefix))


def probing(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """Its own continuation, A, or a mentor's, B: the right one, and outside its skills B."""
    asked = scene(problem, rng)
    knows = speaker.knows(problem)
    right, wrong = boxed(problem.answer), boxed(asked.wrongs[0])
    own_right = rng.random() < (0.7 if knows else 0.2)
    own, other = (right, wrong) if own_right else (wrong, right)
    begun = OPENING if rng.random() < 0.15 else ""
    prefix = begun + prompts.continue_with(own.removeprefix(begun), other.removeprefix(begun))
    return continued(asked.prompt, prefix, "A" if knows and own_right else "B")
