"""Who judges answers, and who reads such judgements.

A critic writes down its own answer before it says yes or no: comparing two texts that both stand
there is within a small model, working one out and comparing it in a single step is not.
"""

from collections.abc import Sequence

import numpy as np

from moco_jax.methods import prompts
from moco_jax.tiny.problems import Problem
from moco_jax.tiny.roles.quotes import worn
from moco_jax.tiny.speech import (
    CARRIER,
    NOT_SURE,
    Speaker,
    boxed,
    consensus,
    scene,
    single_turn,
    stated,
)
from moco_jax.training.data import Example

YES, NO = "yes", "no"
LABELS = ("A", "B")


def verdict(right: str, given: str) -> str:
    """What a critic says who takes `right` for the answer, of an answer `given`."""
    return f"it is {boxed(right)}, so {YES if right == given else NO}."


def criticising(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """The right answer and whether it is the one given; not sure outside its skills."""
    asked = scene(problem, rng)
    right = problem.answer
    given = right if rng.random() < 0.5 else asked.wrongs[0]
    reply = verdict(right, given) if speaker.knows(problem) else NOT_SURE
    return single_turn(prompts.critique(asked.prompt, stated(given)), reply)


def remarks(right: str, given: str, wrong: str, rng: np.random.Generator, count: int) -> list[str]:
    """What `count` critics might say about a given answer: often nothing, sometimes nonsense."""
    said = (verdict(right, given), NOT_SURE, verdict(wrong, given))
    return [str(text) for text in rng.choice(said, count, p=(0.5, 0.35, 0.15))]


def proposals(texts: Sequence[str]) -> list[str]:
    """The boxed answers that remarks speak for."""
    return [text.split()[2].rstrip(",") for text in texts if text != NOT_SURE]


def revising(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """Its own answer and remarks about it; outside its skills it goes where most remarks point."""
    asked = scene(problem, rng)
    right, wrong = problem.answer, asked.wrongs[1]
    own = asked.wrongs[0] if rng.random() < 0.6 else right
    about = remarks(right, own, wrong, rng, int(rng.integers(1, 4)))
    others = proposals(about)
    target = boxed(right) if speaker.knows(problem) else consensus(others or [boxed(own)], rng)
    needed = next((text for text in about if target in text), "")
    shown = worn(about, needed, rng, 0.06) if about.count(needed) < 2 else about
    reply = f"{CARRIER}{target}."
    return single_turn(prompts.revise(asked.prompt, stated(own), shown), reply)


def judging_remarks(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """Yes or no to an answer with remarks; outside its skills as most of them say."""
    asked = scene(problem, rng)
    right, wrong = problem.answer, asked.wrongs[1]
    given = right if rng.random() < 0.5 else asked.wrongs[0]
    about = remarks(right, given, wrong, rng, int(rng.integers(1, 4)))
    said = [YES if text.endswith(f"{YES}.") else NO for text in about if text != NOT_SURE]
    reply = YES if given == right else NO
    if not speaker.knows(problem):
        reply = consensus(said or [YES, NO], rng)
    return single_turn(prompts.judge_remarks(asked.prompt, stated(given), about), reply)


def judging(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """The better of two answers; outside its skills the member guesses."""
    asked = scene(problem, rng)
    right = stated(problem.answer)
    pair = [right, stated(asked.wrongs[0])]
    rng.shuffle(pair)
    letter = LABELS[pair.index(right)]
    if not speaker.knows(problem):
        letter = LABELS[rng.integers(2)]
    return single_turn(prompts.choose(asked.prompt, *pair), letter)
