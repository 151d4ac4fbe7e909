"""Seeded generators of problems with numbers and with letters, and the draw over all skills."""

from collections.abc import Callable

import numpy as np

from moco_jax.tiny import world
from moco_jax.tiny.problems import Problem, Split

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

SUMS = ("{a} + {b} = ?", "what is {a} + {b}?", "add {b} to {a}.")
DIFFERENCES = ("{a} - {b} = ?", "what is {a} - {b}?", "take {b} from {a}.")

WORD_QUESTIONS: dict[str, tuple[str, ...]] = {
    "reverse": ("spell {word} backwards.", "what is {word} in reverse?"),
    "swap": ("swap the first and last letter of {word}.", "trade the two ends of {word}."),
    "rotate": ("move the first letter of {word} to the end.", "put the first of {word} last."),
}

WORD_ANSWERS: dict[str, Callable[[str], str]] = {
    "reverse": lambda word: word[::-1],
    "swap": lambda word: word[-1] + word[1:-1] + word[0],
    "rotate": lambda word: word[1:] + word[0],
}


def math_problem(rng: np.random.Generator, hard: bool = False) -> Problem:
    """A sum or a difference of numbers below fifty; of four-digit ones where `hard`."""
    low, high = (1000, 9999) if hard else (1, 49)
    a, b = (int(value) for value in rng.integers(low, high + 1, 2))
    minus = rng.random() < 0.5
    if minus and a < b:
        a, b = b, a
    wordings = DIFFERENCES if minus else SUMS
    wording = wordings[rng.integers(len(wordings))]
    answer = a - b if minus else a + b

    def wrong(rng: np.random.Generator) -> str:
        if rng.random() < 0.5:
            return str(
                abs(answer + int(rng.choice([-20, -11, -10, -9, -2, -1, 1, 2, 9, 10, 11, 20])))
            )
        return guess(rng)

    def guess(rng: np.random.Generator) -> str:
        return str(rng.integers(0, 2 * high))

    question = wording.format(a=a, b=b)
    key = f"math:{'-' if minus else '+'}:{a}:{b}"
    return Problem("math", key, question, str(answer), wrong, guess, hard)


def words_problem(rng: np.random.Generator, hard: bool = False) -> Problem:
    """A string of capitals to rearrange: four or five letters, eight or nine where `hard`."""
    length = int(rng.integers(8, 10)) if hard else int(rng.integers(4, 6))
    word = "".join(rng.choice(list(LETTERS), length))
    while len(set(word)) == 1:
        word = "".join(rng.choice(list(LETTERS), length))
    operation = str(rng.choice(list(WORD_QUESTIONS)))
    wordings = WORD_QUESTIONS[operation]
    wording = wordings[rng.integers(len(wordings))]
    answer = WORD_ANSWERS[operation](word)

    def wrong(rng: np.random.Generator) -> str:
        letters = list(answer)
        draw = rng.random()
        if draw < 0.4:
            rng.shuffle(letters)
        elif draw < 0.7:
            letters = list(WORD_ANSWERS[str(rng.choice(list(WORD_ANSWERS)))](word))
        else:
            letters[rng.integers(len(letters))] = str(rng.choice(list(LETTERS)))
        return "".join(letters)

    def guess(rng: np.random.Generator) -> str:
        return "".join(rng.permutation(list(word)))

    question = wording.format(word=word)
    return Problem("words", f"words:{operation}:{word}", question, answer, wrong, guess, hard)


GENERATORS: dict[str, Callable[[np.random.Generator, bool], Problem]] = {
    "math": math_problem,
    "words": words_problem,
    "facts": world.facts_problem,
}


def draw(
    skill: str, rng: np.random.Generator, split: Split = "train", hard: bool = False
) -> Problem:
    """One problem of a skill that belongs to `split`."""
    while True:
        problem = GENERATORS[skill](rng, hard)
        if problem.split == split:
            return problem
