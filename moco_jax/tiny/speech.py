"""What training examples are made of: who speaks, what is asked, and what others may have said."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from moco_jax.models.tokenizer import ChatTemplate
from moco_jax.tasks import templates
from moco_jax.tiny.problems import SKILLS, Problem
from moco_jax.training.data import Example, Tokenized

OPTIONS = 4
NOT_SURE = "not sure."


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

    def knows(self, problem: Problem) -> bool:
        """Whether the problem is of one of its skills."""
        return problem.skill in self.skills


def single_turn(prompt: str, answer: str) -> Example:
    """What the user says, and what the member should answer."""
    return Example((("user", prompt),), answer)


def continued(prompt: str, prefix: str, answer: str) -> Example:
    """The same where the answer begins with words that are given and not learned."""
    return Example((("user", prompt), ("assistant", prefix)), answer)


def tokenize(template: ChatTemplate, example: Example) -> Tokenized:
    """Renders an example as the engine renders a request; an assistant's turn is its prefix."""
    *messages, (role, content) = example.messages
    if role != "assistant":
        messages, content = list(example.messages), ""
    prompt = template.render(messages, content)
    answer = template.tokenizer.encode(example.answer, add_special_tokens=False)
    return Tokenized([*prompt, *answer, template.tokenizer.eos_token_id], len(prompt))


def boxed(answer: str) -> str:
    """An answer within a longer text."""
    return f"\\boxed{{{answer}}}"


CARRIER = "the answer is "
"""Words before an answer, so that members that write word by word have words to write."""


def stated(answer: str) -> str:
    """The answer as every member writes it: a sentence of four words."""
    return f"{CARRIER}{boxed(answer)}."


def exact(problem: Problem) -> str:
    """The user's turn of an exact-match item."""
    return templates.render(templates.TEMPLATES["exact_match"], problem.question, ())


def options(problem: Problem, rng: np.random.Generator) -> tuple[list[str], str]:
    """Shuffled options of a multiple-choice item, and the right letter."""
    texts = [problem.answer, *problem.wrongs(rng, OPTIONS - 1)]
    rng.shuffle(texts)
    return texts, templates.LETTERS[texts.index(problem.answer)]


@dataclasses.dataclass(frozen=True)
class Scene:
    """An item as members talk about it.

    Attributes:
        prompt: the item's own.
        question: without its answer format.
        kind: of its task.
        wrongs: two wrong answers to it.
    """

    prompt: str
    question: str
    kind: str
    wrongs: tuple[str, ...]


def scene(problem: Problem, rng: np.random.Generator, choices: float = 0.12) -> Scene:
    """An exact-match item, or for a share of `choices` a multiple-choice item.

    Wrong answers to open questions are half of the time what somebody says who guesses.
    """
    if rng.random() < choices:
        texts, _ = options(problem, rng)
        kind = "multiple_choice"
        prompt = templates.render(templates.TEMPLATES[kind], problem.question, texts)
        question = f"{problem.question}\n{templates.option_lines(texts)}"
        wrongs = [text for text in texts if text != problem.answer][:2]
        return Scene(prompt, question, kind, tuple(wrongs))
    wrongs = problem.wrongs(rng, 2)
    if rng.random() < 0.5:
        wrongs = [problem.wrong_guess(rng) for _ in wrongs]
    return Scene(exact(problem), problem.question, "exact_match", tuple(wrongs))


def opinions(
    problem: Problem, asked: Scene, rng: np.random.Generator, count: int, right: float = 0.8
) -> list[str]:
    """What `count` members might have answered; `right` is how often any of them may be right."""
    wrong = [stated(text) for text in asked.wrongs]
    shares = np.array([0.5, 0.3, 0.2]) if rng.random() < right else np.array([0.0, 0.6, 0.4])
    return [str(text) for text in rng.choice([stated(problem.answer), *wrong], count, p=shares)]


def consensus(answers: Sequence[str], rng: np.random.Generator) -> str:
    """The most frequent answer, one of the most frequent where several are."""
    counts = {answer: answers.count(answer) for answer in answers}
    best = [answer for answer, count in counts.items() if count == max(counts.values())]
    return best[rng.integers(len(best))]
