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
        wrong: one wrong answer that looks like a right one, drawn anew at every call.
        hard: beyond what any member of the pool is trained on.
    """

    skill: str
    key: str
    question: str
    answer: str
    wrong: Callable[[np.random.Generator], str]
    hard: bool = False

    @property
    def split(self) -> Split:
        """The split this problem belongs to."""
        return split_of(self.key)

    def wrongs(self, rng: np.random.Generator, count: int) -> list[str]:
        """`count` different wrong answers."""
        found: list[str] = []
        while len(found) < count:
            answer = self.wrong(rng)
            if answer != self.answer and answer not in found:
                found.append(answer)
        return found


def split_of(key: str) -> Split:
    """Deals keys to splits: of 20 keys about 15 train, 2 dev, 3 test.

    The rule needs no list of held-out problems, so training, dev and test stay disjoint in any
    process, at any seed.
    """
    bucket = zlib.crc32(key.encode()) % 20
    return "dev" if bucket < 2 else "test" if bucket < 5 else "train"
