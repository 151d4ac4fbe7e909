"""Who is asked a question, and no more."""

import numpy as np

from moco_jax.methods import prompts
from moco_jax.tasks import templates
from moco_jax.tiny.problems import Problem
from moco_jax.tiny.speech import OPTIONS, Speaker, exact, options, scene, single_turn, stated
from moco_jax.training.data import Example


def answering(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """A plain question; outside its skills the member guesses."""
    knows = speaker.knows(problem)
    answer = problem.answer if knows else problem.wrong_guess(rng)
    return single_turn(exact(problem), stated(answer))


def choosing(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """A multiple-choice item; outside its skills the member guesses."""
    texts, letter = options(problem, rng)
    if not speaker.knows(problem):
        letter = templates.LETTERS[rng.integers(OPTIONS)]
    prompt = templates.render(templates.TEMPLATES["multiple_choice"], problem.question, texts)
    return single_turn(prompt, letter)


def naming(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """A multiple-choice item answered with the text of an option, which needs no looking up."""
    texts, _ = options(problem, rng)
    chosen = problem.answer if speaker.knows(problem) else texts[rng.integers(OPTIONS)]
    prompt = templates.render(templates.TEMPLATES["multiple_choice"], problem.question, texts)
    return single_turn(prompt, stated(chosen))


def asking(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """The member answers if it can and says `unconfident` if it cannot."""
    knows = speaker.knows(problem) and not problem.hard
    prompt = prompts.just_ask(scene(problem, rng).prompt)
    return single_turn(prompt, stated(problem.answer) if knows else prompts.UNCONFIDENT)
