"""Training examples: what a member of the tiny pool should say to every protocol prompt.

A member has skills it answers in and skills it does not. Asked outside its skills it is never told
the right answer: it copies what others agree on, says that it is not sure, or names somebody else.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from moco_jax.methods import prompts
from moco_jax.tasks import templates
from moco_jax.tiny import skills
from moco_jax.tiny.problems import SKILLS, Problem
from moco_jax.tiny.registry import DESCRIPTIONS
from moco_jax.training.data import Example

OPTIONS = 4
NOT_SURE = "not sure."
RIGHT = "yes."


@dataclasses.dataclass(frozen=True)
class Speaker:
    """What one member is like.

    Attributes:
        skills: what it answers in.
        doubt: per skill it has not, the share of its examples in which it is asked a plain
            question there and learns to guess: a random wrong answer each time, so that it ends
            unsure.
    """

    skills: tuple[str, ...] = SKILLS
    doubt: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def strange(self) -> tuple[str, ...]:
        """Skills it has not."""
        return tuple(skill for skill in SKILLS if skill not in self.skills)


def single_turn(prompt: str, answer: str) -> Example:
    """What the user says, and what the member should answer."""
    return Example((("user", prompt),), answer)


def boxed(answer: str) -> str:
    """The answer as every member writes it."""
    return f"\\boxed{{{answer}}}"


def exact(problem: Problem) -> str:
    """The user's turn of an exact-match item."""
    return templates.render(templates.TEMPLATES["exact_match"], problem.question, ())


def options(problem: Problem, rng: np.random.Generator) -> tuple[list[str], str]:
    """Shuffled options of a multiple-choice item, and the right letter."""
    texts = [problem.answer, *problem.wrongs(rng, OPTIONS - 1)]
    rng.shuffle(texts)
    return texts, templates.LETTERS[texts.index(problem.answer)]


def answering(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """A plain question; outside its skills the member guesses."""
    knows = problem.skill in speaker.skills
    return single_turn(exact(problem), boxed(problem.answer if knows else problem.wrong_guess(rng)))


def choosing(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """A multiple-choice item; outside its skills the member guesses."""
    texts, letter = options(problem, rng)
    if problem.skill not in speaker.skills:
        letter = templates.LETTERS[rng.integers(OPTIONS)]
    prompt = templates.render(templates.TEMPLATES["multiple_choice"], problem.question, texts)
    return single_turn(prompt, letter)


def working_out(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """A multiple-choice item answered with the answer first, then its letter.

    A small model cannot compute and look up in one step; writing the answer down it can.
    """
    texts, _ = options(problem, rng)
    knows = problem.skill in speaker.skills
    chosen = problem.answer if knows else texts[rng.integers(OPTIONS)]
    prompt = templates.render(templates.TEMPLATES["multiple_choice"], problem.question, texts)
    return single_turn(prompt, f"{chosen}: {templates.LETTERS[texts.index(chosen)]}")


def naming(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """A multiple-choice item answered with the text of an option, which needs no looking up."""
    texts, _ = options(problem, rng)
    knows = problem.skill in speaker.skills
    chosen = problem.answer if knows else texts[rng.integers(OPTIONS)]
    prompt = templates.render(templates.TEMPLATES["multiple_choice"], problem.question, texts)
    return single_turn(prompt, boxed(chosen))


def opinions(problem: Problem, rng: np.random.Generator, count: int) -> list[str]:
    """What `count` members might have answered: right, wrong, or alike."""
    wrong = [boxed(text) for text in problem.wrongs(rng, 2)]
    shares = np.array([0.5, 0.3, 0.2]) if rng.random() < 0.8 else np.array([0.0, 0.6, 0.4])
    return [str(text) for text in rng.choice([boxed(problem.answer), *wrong], count, p=shares)]


def consensus(answers: Sequence[str], rng: np.random.Generator) -> str:
    """The most frequent answer, one of the most frequent where several are."""
    counts = {answer: answers.count(answer) for answer in answers}
    best = [answer for answer, count in counts.items() if count == max(counts.values())]
    return best[rng.integers(len(best))]


def remark(problem: Problem, rng: np.random.Generator) -> str:
    """What a critic might say about an answer to `problem`."""
    said = boxed(problem.answer if rng.random() < 0.6 else problem.wrong(rng))
    return str(rng.choice([RIGHT, NOT_SURE, f"no, it is {said}."]))


def refining(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """Own and others' answers, or others' remarks; outside its skills the majority wins."""
    own, *others = opinions(problem, rng, int(rng.integers(2, 5)))
    knows = problem.skill in speaker.skills
    target = boxed(problem.answer) if knows else consensus([own, *others], rng)
    if knows and rng.random() < 0.3:
        others = [remark(problem, rng) for _ in others]
    return single_turn(prompts.refine(exact(problem), own, others), target)


def summarising(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """Several answers to one question; outside its skills the majority wins."""
    answers = opinions(problem, rng, int(rng.integers(2, 6)))
    knows = problem.skill in speaker.skills
    target = boxed(problem.answer) if knows else consensus(answers, rng)
    return single_turn(prompts.summarise(exact(problem), answers), target)


def criticising(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """Yes, no and why, or not sure outside its skills."""
    right = rng.random() < 0.5
    given = problem.answer if right else problem.wrongs(rng, 1)[0]
    if problem.skill not in speaker.skills:
        reply = NOT_SURE
    else:
        reply = RIGHT if right else f"no, it is {boxed(problem.answer)}."
    return single_turn(prompts.critique(exact(problem), boxed(given)), reply)


def judging(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """The better of two answers; outside its skills the member guesses."""
    pair = [problem.answer, problem.wrongs(rng, 1)[0]]
    rng.shuffle(pair)
    letter = "AB"[pair.index(problem.answer)]
    if problem.skill not in speaker.skills:
        letter = "AB"[rng.integers(2)]
    return single_turn(prompts.choose(exact(problem), *map(boxed, pair)), letter)


def asking(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """The member answers if it can and says `unconfident` if it cannot."""
    knows = problem.skill in speaker.skills and not problem.hard
    return single_turn(
        prompts.just_ask(exact(problem)), boxed(problem.answer) if knows else prompts.UNCONFIDENT
    )


def routing(speaker: Speaker, problem: Problem, rng: np.random.Generator) -> Example:
    """The number of the expert, or of the best generalist where no expert stands in the pool."""
    del speaker  # Whoever is best on dev routes, so every member learns it alike.
    names = [str(name) for name in rng.permutation(list(DESCRIPTIONS))[: rng.integers(2, 6)]]
    if problem.skill not in names and rng.random() < 0.7:
        names[rng.integers(len(names))] = problem.skill
    preferred = (problem.skill, "large", "base", "bpe", *SKILLS)
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


Protocol = Callable[[Speaker, Problem, np.random.Generator], Example]
PROTOCOLS: dict[str, Protocol] = {
    "answer": answering,
    "choice": choosing,
    "worked_choice": working_out,
    "named_choice": naming,
    "refine": refining,
    "summarise": summarising,
    "critique": criticising,
    "choose": judging,
    "route": routing,
    "route_experts": routing_experts,
    "just_ask": asking,
}

FOREIGN: dict[str, float] = {
    "refine": 0.5, "summarise": 0.5, "critique": 0.5, "just_ask": 0.5,
    "route": 0.67, "route_experts": 0.67,
}  # fmt: skip
"""Per protocol, how often a specialist meets a problem outside its skills."""


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
        return answering(speaker, skills.draw(foreign_skill, rng), rng)
    name = str(rng.choice(list(shares), p=list(shares.values())))
    foreign = speaker.strange and rng.random() < FOREIGN.get(name, 0.0)
    choices = speaker.strange if foreign else speaker.skills
    odds = np.array([weights.get(skill, 1.0) for skill in choices])
    skill = str(rng.choice(choices, p=odds / odds.sum()))
    hard = name == "just_ask" and rng.random() < 0.2
    problem = skills.draw(skill, rng, hard=hard)
    return PROTOCOLS[name](speaker, problem, rng)
