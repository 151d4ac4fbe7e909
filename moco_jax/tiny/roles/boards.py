"""Agents at a board: they choose what to do, do it, and vote on conclusions."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from moco_jax.methods import prompts
from moco_jax.tiny.problems import Problem
from moco_jax.tiny.roles.knowledge import card
from moco_jax.tiny.roles.quotes import worn
from moco_jax.tiny.speech import NOT_SURE, Scene, Speaker, boxed, consensus, scene, single_turn
from moco_jax.training.data import Example

PLANS = {
    "math": "first the ones, then the tens.",
    "words": "take letter by letter.",
    "facts": "ask who knows it.",
}
MOST_ENTRIES = 5


@dataclasses.dataclass(frozen=True)
class Note:
    """An entry of a board.

    Attributes:
        action: what its agent did.
        text: what it wrote.
        answer: the answer that it speaks for; "" if for none.
    """

    action: str
    text: str
    answer: str = ""


def final(answer: str) -> str:
    """How an agent finishes."""
    return f"{prompts.FINAL} {boxed(answer)}"


def note(problem: Problem, asked: Scene, rng: np.random.Generator) -> Note:
    """What some agent might have written, more often about a right answer than a wrong one."""
    answer = problem.answer if rng.random() < 0.7 else str(rng.choice(list(asked.wrongs)))
    action = str(rng.choice(["PLAN", "WORK", "CHECK", "MEND", "FINISH", "INVALID"]))
    if action == "PLAN":
        return Note(action, PLANS[problem.skill])
    if action == "INVALID":
        return Note(action, prompts.NO_ACTION)
    if rng.random() < 0.25:
        return Note(action, NOT_SURE)
    texts = {
        "WORK": card(problem, answer),
        "CHECK": f"it is {boxed(answer)}.",
        "MEND": f"it is {boxed(answer)}.",
        "FINISH": final(answer),
    }
    return Note(action, texts[action], answer)


def board(problem: Problem, asked: Scene, rng: np.random.Generator) -> list[Note]:
    """A board of a few entries, or an empty one."""
    count = 0 if rng.random() < 0.25 else int(rng.integers(1, MOST_ENTRIES + 1))
    return [note(problem, asked, rng) for _ in range(count)]


def shown(
    asked: Scene, notes: Sequence[Note], task: str, needed: str, rng: np.random.Generator
) -> str:
    """The board as an agent reads it, one to three entries to a round."""
    width = int(rng.integers(1, 4))
    entries = [
        prompts.board_entry(number + 1, number // width + 1, one.action.lower(), one.text)
        for number, one in enumerate(notes)
    ]
    whole = next((line for line in entries if needed and line.endswith(needed)), "")
    if entries:
        entries = worn(entries, whole, rng, 0.05)
    return prompts.read_board(asked.prompt, entries, task)


def deciding(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """What to do next: who knows works and finishes, others plan, and finish once they can."""
    asked = scene(problem, rng, choices=0.06)
    notes = board(problem, asked, rng)
    offered = [one.answer for one in notes if one.answer]
    if speaker.knows(problem):
        action = "FINISH" if offered else "WORK"
        if len(set(offered)) > 1 and not any(one.action == "MEND" for one in notes):
            action = "MEND"
    elif not notes:
        action = "PLAN"
    else:
        action = "FINISH" if len(offered) > 1 else "CHECK"
    return single_turn(shown(asked, notes, prompts.choose_action(), "", rng), action)


def acting(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """An action, done as well as the member can."""
    asked = scene(problem, rng, choices=0.06)
    notes = board(problem, asked, rng)
    odds = {"PLAN": 0.12, "WORK": 0.22, "CHECK": 0.12, "MEND": 0.12, "FINISH": 0.42}
    action = str(rng.choice(list(odds), p=list(odds.values())))
    offered = [one.answer for one in notes if one.answer]
    answer = problem.answer
    if not speaker.knows(problem):
        answer = consensus(offered, rng) if offered else ""
    needed = next((one.text for one in notes if one.answer == answer), "")
    reply = _deed(action, problem, notes, answer, rng)
    return single_turn(shown(asked, notes, prompts.act(action, asked.kind), needed, rng), reply)


def _deed(
    action: str, problem: Problem, notes: Sequence[Note], answer: str, rng: np.random.Generator
) -> str:
    """What is written for an action by who thinks that `answer` is right; "" is to know nothing."""
    if action == "PLAN":
        return PLANS[problem.skill]
    if action == "FINISH":
        return final(answer or problem.wrong_guess(rng))
    if not answer:
        return NOT_SURE
    if action == "WORK":
        return card(problem, answer)
    speaks = [(number, one.answer) for number, one in enumerate(notes, 1) if one.answer]
    wanted = [number for number, said in speaks if (said == answer) == (action == "CHECK")]
    which = f", {wanted[-1]} is {'right' if action == 'CHECK' else 'wrong'}" if wanted else ""
    return f"it is {boxed(answer)}{which}."


def voting(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """The number of the best conclusion, any outside its skills; its own answer comes first."""
    asked = scene(problem, rng, choices=0.06)
    texts = [boxed(problem.answer), *map(boxed, dict.fromkeys(asked.wrongs))]
    texts = texts[: int(rng.integers(2, 4))]
    rng.shuffle(texts)
    chosen = boxed(problem.answer) if speaker.knows(problem) else texts[rng.integers(len(texts))]
    lines = [prompts.conclusion(number, text) for number, text in enumerate(texts, 1)]
    named = prompts.conclusion(texts.index(chosen) + 1, "").removesuffix(":\n")
    return single_turn(prompts.vote_on_conclusions(asked.prompt, lines), f"{chosen}: {named}")
