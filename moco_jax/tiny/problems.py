"""What every skill of the tiny pool hands out: a problem, and which split it belongs to."""

import dataclasses
import zlib
from collections.abc import Callable
from typing import Literal

import numpy as np

Split = Literal["train", "dev", "test"]
SKILLS = ("math", "words", "facts")


@dataclasses.dataclass(frozen=True)
class Problem:
    """One question with its answer.

    Attributes:
        skill: "math", "words" or "facts".
        key: identifies the problem, wording included; decides its split.
        question: the bare question.
        answer: the right answer, without any format.
        wrong: an answer that looks much like the right one, drawn anew at every call.
        guess: what somebody might say who knows no more than what kind of answer is wanted.
        hard: beyond what any member of the pool is trained on.
    """

    skill: str
    key: str
    question: str
    answer: str
    wrong: Callable[[np.random.Generator], str]
    guess: Callable[[np.random.Generator], str]
    hard: bool = False

    @property
    def split(self) -> Split:
        """The split this problem belongs to."""
        return split_of(self.key)

    def wrongs(self, rng: np.random.Generator, count: int) -> list[str]:
        """`count` different wrong answers that look like right ones."""
        found: list[str] = []
        while len(found) < count:
            answer = self.wrong(rng)
            if answer != self.answer and answer not in found:
                found.append(answer)
        return found

    def wrong_guess(self, rng: np.random.Generator) -> str:
        """A guess that misses."""
        while (guess := self.guess(rng)) == self.answer:
            pass
        return guess


def split_of(key: str) -> Split:
    """Deals keys to splits: of 20 keys about 15 train, 2 dev, 3 test.

    The rule needs no list of held-out problems, so training, dev and test stay disjoint in any
    process, at any seed.
    """
    bucket = zlib.crc32(key.encode()) % 20
    return "dev" if bucket < 2 else "test" if bucket < 5 else "train"
