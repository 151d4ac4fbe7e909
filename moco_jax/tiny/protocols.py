"""Training examples: what a member of the tiny pool should say to every protocol prompt.

A member has skills it answers in and skills it does not. Asked outside its skills it is never told
the right answer: it copies what others agree on, says that it is not sure, or names somebody else.
"""

from collections.abc import Callable

import numpy as np

from moco_jax.tiny import skills
from moco_jax.tiny.problems import Problem
from moco_jax.tiny.roles import answers, boards, critics, knowledge, prefixes, readers, routers
from moco_jax.tiny.speech import Speaker
from moco_jax.training.data import Example

Protocol = Callable[[Speaker, Problem, np.random.Generator], Example]
PROTOCOLS: dict[str, Protocol] = {
    "answer": answers.answering,
    "choice": answers.choosing,
    "named_choice": answers.naming,
    "just_ask": answers.asking,
    "refine": readers.refining,
    "summarise": readers.summarising,
    "consult": readers.consulting,
    "mix": readers.mixing,
    "fuse": readers.fusing,
    "critique": critics.criticising,
    "revise": critics.revising,
    "judge_remarks": critics.judging_remarks,
    "choose": critics.judging,
    "write_card": knowledge.writing_card,
    "ask_need": knowledge.needing,
    "read_cards": knowledge.reading_cards,
    "condense": knowledge.condensing,
    "route": routers.routing,
    "route_experts": routers.routing_experts,
    "next_speaker": routers.selecting,
    "continue": prefixes.continuing,
    "probe": prefixes.probing,
    "decide": boards.deciding,
    "act": boards.acting,
    "vote": boards.voting,
}
"""Per role, who makes its examples; tests see to it that no prompt of the library is left out."""

HOME = ("answer", "choice", "named_choice")
"""Roles in which a specialist meets its own skills alone; `Speaker.doubt` is for the others."""

FOREIGN = dict.fromkeys((name for name in PROTOCOLS if name not in HOME), 0.5) | {
    "route": 0.67, "route_experts": 0.67, "next_speaker": 0.67, "choose": 0.2, "vote": 0.3,
}  # fmt: skip
"""Per role, how often a specialist meets a problem outside its skills."""


def example(
    speaker: Speaker, shares: dict[str, float], rng: np.random.Generator, **weights: float
) -> Example:
    """One training example of a member.

    Args:
        speaker: the member.
        shares: how often each protocol is met; they sum to 1.
        rng: the only source of randomness.
        **weights: how often each skill is met, within the member's skills; alike by default.
    """
    doubt = sum(speaker.doubt.values())
    if doubt and rng.random() < doubt:
        doubts = [share / doubt for share in speaker.doubt.values()]
        foreign_skill = str(rng.choice(list(speaker.doubt), p=doubts))
        return answers.answering(speaker, skills.draw(foreign_skill, rng), rng)
    name = str(rng.choice(list(shares), p=list(shares.values())))
    foreign = speaker.strange and rng.random() < FOREIGN.get(name, 0.0)
    choices = speaker.strange if foreign else speaker.skills
    odds = np.array([weights.get(skill, 1.0) for skill in choices])
    skill = str(rng.choice(choices, p=odds / odds.sum()))
    hard = name == "just_ask" and rng.random() < 0.2
    problem = skills.draw(skill, rng, hard=hard)
    return PROTOCOLS[name](speaker, problem, rng)
