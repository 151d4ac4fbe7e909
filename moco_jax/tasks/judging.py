"""Judges: models that say what an answer is worth, handed to scoring as functions.

This room knows what a judge sees and what each role is for; judges that run models are made in
`moco_jax.runs.judges`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """What a judge sees: one answer, what it answers, and what it is held against.

    Attributes:
        question: what was asked.
        answer: as extracted from the output.
        references: the accepted answer for a verifier, texts to differ from for an embedding model;
            empty for a reward model.
    """

    question: str
    answer: str
    references: tuple[str, ...] = ()


Judge = Callable[[Sequence[Case]], Sequence[float]]
"""One value per case, in order."""

Judges = Mapping[str, Judge]
"""Judges by role; see `ROLES`."""


@dataclass(frozen=True)
class Role:
    """One thing that models are asked to judge.

    Attributes:
        name: as in `Judges`, in a config and on the command line.
        what: what kind of model that is.
        default: the papers' own, a hub id.
    """

    name: str
    what: str
    default: str


ROLES: dict[str, Role] = {
    role.name: role
    for role in (
        Role("reward_model", "a reward model", "Skywork/Skywork-Reward-Llama-3.1-8B-v0.2"),
        Role("verifier", "a verifier", "TIGER-Lab/general-verifier"),
        Role("embedding_model", "an embedding model", "FacebookAI/roberta-base"),
    )
}


def judge_of(kind: str, role: str, judges: Judges | None) -> Judge:
    """The judge of a kind of task.

    Raises:
        ValueError: there is none, and the message says what to pass, or a role is unknown.
    """
    for name in judges or ():
        if name not in ROLES:
            raise ValueError(f"there is no judge called {name!r}; the roles are {', '.join(ROLES)}")
    if judges and role in judges:
        return judges[role]
    raise ValueError(no_judge(kind, role))


def no_judge(kind: str, role: str) -> str:
    """The sentence that says which judge is missing, and what to pass."""
    needed = ROLES[role]
    return (
        f"answers to {kind} tasks are judged by {needed.what}, and none was passed: pass "
        f"judges={{{role!r}: ...}} in Python or --{role}=NAME to moco (any checkpoint directory or "
        f"hub id; the papers' is {needed.default})"
    )
