"""Who names the member that should answer, or write on."""

from collections.abc import Sequence

import numpy as np

from moco_jax.methods import prompts
from moco_jax.tasks import templates
from moco_jax.tiny.problems import SKILLS, Problem
from moco_jax.tiny.registry import DESCRIPTIONS
from moco_jax.tiny.roles.prefixes import parts_of
from moco_jax.tiny.speech import Speaker, options, scene, single_turn, stated
from moco_jax.training.data import Example


def routing(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """The number of the expert, or of the best generalist where no expert stands in the pool."""
    del speaker  # Whoever is best on dev routes, so every member learns it alike.
    names = [str(name) for name in rng.permutation(list(DESCRIPTIONS))[: rng.integers(2, 6)]]
    if problem.skill not in names and rng.random() < 0.7:
        names[rng.integers(len(names))] = problem.skill
    preferred = (problem.skill, "large", "stem", "bpe", "tuned", "base", *SKILLS)
    number = min(range(len(names)), key=lambda index: preferred.index(names[index]))
    question = problem.question
    if rng.random() < 0.2:
        question += "\n" + templates.option_lines(options(problem, rng)[0])
    return single_turn(
        prompts.route(question, [DESCRIPTIONS[name] for name in names]), str(number + 1)
    )


def routing_experts(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """The same where the pool is one expert per skill, in any order."""
    del speaker
    names = [str(name) for name in rng.permutation(list(SKILLS))]
    prompt = prompts.route(problem.question, [DESCRIPTIONS[name] for name in names])
    return single_turn(prompt, str(names.index(problem.skill) + 1))


def selecting(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """Who writes the next part of an answer that several members write together.

    Models have no more than a number here, so a selector is one for a pool in a known order: one
    expert per skill; of two models, the second, stronger one.
    """
    del speaker  # A selector stands outside the pool, and every member learns it alike.
    count = len(SKILLS) if rng.random() < 0.85 else 2
    asked = scene(problem, rng)
    said = problem.answer if rng.random() < 0.7 else asked.wrongs[0]
    parts: list[tuple[int | None, str]] = []
    for text in parts_of(problem, stated(said), rng):
        parts.append((int(rng.integers(count)), text))
    if parts and rng.random() < 0.3:
        parts.append((None, str(rng.choice([prompts.WAIT, prompts.CONCLUDE]))))
    number = SKILLS.index(problem.skill) if count == len(SKILLS) else count - 1
    return single_turn(prompts.next_speaker(asked.prompt, _joined(parts), count), str(number))


def _joined(parts: Sequence[tuple[int | None, str]]) -> list[tuple[int | None, str]]:
    """Neighbouring parts of one model as one."""
    found: list[tuple[int | None, str]] = []
    for who, text in parts:
        if found and found[-1][0] == who:
            found[-1] = who, found[-1][1] + text
        else:
            found.append((who, text))
    return found
