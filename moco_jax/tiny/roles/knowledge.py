"""Who writes down what it knows without answering, asks for it, sums it up, or reads it.

A card holds knowledge in a form that is not the answer's: a fact as a sentence, a number as its
tens and ones, a word as its letters. Whoever reads it needs no skill but reading.
"""

import numpy as np

from moco_jax.methods import prompts
from moco_jax.tiny.problems import Problem
from moco_jax.tiny.roles.quotes import worn
from moco_jax.tiny.speech import NOT_SURE, Speaker, consensus, scene, single_turn, stated
from moco_jax.training.data import Example


def relation(problem: Problem) -> str:
    """What a question about a person asks for."""
    _, kind, _, _, name = problem.key.split(":")
    return f"the {kind} of {name}"


def card(problem: Problem, answer: str) -> str:
    """What somebody writes down who thinks that this is the answer."""
    if problem.skill == "math":
        return f"{int(answer) // 10} tens and {int(answer) % 10} ones."
    if problem.skill == "words":
        return f"the letters are {','.join(answer)}."
    return f"{relation(problem)} is {answer}."


def need(problem: Problem) -> str:
    """What somebody would have to know to answer."""
    if problem.skill == "math":
        return "the tens and the ones."
    return "the letters." if problem.skill == "words" else f"{relation(problem)}."


def writing_card(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """Knowledge about a question, as needed or of itself; not sure outside its skills."""
    wanted = need(problem) if rng.random() < 0.4 else ""
    reply = card(problem, problem.answer) if speaker.knows(problem) else NOT_SURE
    return single_turn(prompts.write_card(scene(problem, rng).question, wanted), reply)


def needing(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """Nothing within its skills; what is missing outside."""
    reply = prompts.NOTHING if speaker.knows(problem) else need(problem)
    return single_turn(prompts.ask_need(scene(problem, rng).question), reply)


def reading_cards(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """A question with cards; outside its skills the member believes what most cards say."""
    asked = scene(problem, rng)
    draws = (problem.answer, "", problem.wrong_guess(rng))
    shares = (0.5, 0.4, 0.1)
    known = [str(text) for text in rng.choice(draws, int(rng.integers(1, 4)), p=shares)]
    answers = [text for text in known if text]
    target = problem.answer
    if not speaker.knows(problem):
        guess = asked.wrongs[0] if asked.kind != "exact_match" else problem.wrong_guess(rng)
        target = consensus(answers, rng) if answers else guess
    texts = [card(problem, text) if text else NOT_SURE for text in known]
    shown = worn(texts, card(problem, target), rng, 0.06)
    return single_turn(prompts.read_cards(asked.prompt, shown), stated(target))


def condensing(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """Texts of several sentences, of which the one with something to say is kept."""
    del speaker  # Nothing has to be known for it.
    answer = problem.answer if rng.random() < 0.7 else problem.wrong_guess(rng)
    told = card(problem, answer) if rng.random() < 0.5 else stated(answer)
    if rng.random() < 0.08:
        told = NOT_SURE
    parts = [told, *rng.choice([NOT_SURE, told], int(rng.integers(0, 3)))]
    rng.shuffle(parts)
    asked = scene(problem, rng)
    text = " ".join(str(part) for part in parts)
    if rng.random() < 0.15:
        text = f"{text} {prompts.clip(told, 6)}"
    about = asked.prompt if rng.random() < 0.5 else asked.question
    return single_turn(prompts.condense(about, text), told)
