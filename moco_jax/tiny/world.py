"""An invented world: people, and where they live, what they keep, drink and make.

The world is drawn once from a fixed seed, so every process knows the same one. Some of its people
are strangers: nothing about them is ever told in training, and questions about them have answers
that no member can know.
"""

import dataclasses
import functools

import numpy as np

from moco_jax.tiny.problems import Problem

SEED = 1729
PEOPLE, STRANGERS, VALUES = 40, 20, 12

ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "t", "v", "z")
VOWELS = ("a", "e", "i", "o", "u")
CODAS = ("", "", "l", "n", "r", "x")

WORDINGS: dict[str, tuple[str, ...]] = {
    "home": ("where does {name} live?", "what is the home of {name}?", "the home of {name} is?"),
    "pet": ("which pet does {name} keep?", "what is the pet of {name}?", "the pet of {name} is?"),
    "drink": ("what does {name} drink?", "what is the drink of {name}?", "the drink of {name} is?"),
    "craft": ("what does {name} make?", "what is the craft of {name}?", "the craft of {name} is?"),
}
ORDERS = ("{}", "tell me: {}")


@dataclasses.dataclass(frozen=True)
class World:
    """Names and facts.

    Attributes:
        people: those who are talked about in training.
        strangers: those who never are.
        values: per relation, everything it can point to.
        facts: (name, relation) -> value, of people and strangers alike.
    """

    people: tuple[str, ...]
    strangers: tuple[str, ...]
    values: dict[str, tuple[str, ...]]
    facts: dict[tuple[str, str], str]


def syllables() -> list[str]:
    """Every syllable that names are made of."""
    return sorted({o + v + c for o in ONSETS for v in VOWELS for c in CODAS})


@functools.cache
def the_world() -> World:
    """The one world of the tiny pool."""
    rng = np.random.default_rng(SEED)
    parts = syllables()
    names: list[str] = []
    while len(names) < PEOPLE + STRANGERS + VALUES * len(WORDINGS):
        name = "".join(rng.choice(parts, 2))
        if name not in names:
            names.append(name)
    people, names = names[:PEOPLE], names[PEOPLE:]
    strangers, names = names[:STRANGERS], names[STRANGERS:]
    values = {
        relation: tuple(names[i * VALUES : (i + 1) * VALUES]) for i, relation in enumerate(WORDINGS)
    }
    facts = {
        (name, relation): str(rng.choice(values[relation]))
        for name in (*people, *strangers)
        for relation in WORDINGS
    }
    return World(tuple(people), tuple(strangers), values, facts)


def facts_problem(rng: np.random.Generator, hard: bool = False) -> Problem:
    """A question about one person; about a stranger where `hard`."""
    known = the_world()
    name = str(rng.choice(known.strangers if hard else known.people))
    relation = str(rng.choice(list(WORDINGS)))
    number = int(rng.integers(len(WORDINGS[relation])))
    order = int(rng.integers(len(ORDERS)))
    question = ORDERS[order].format(WORDINGS[relation][number].format(name=name))

    def wrong(rng: np.random.Generator) -> str:
        return str(rng.choice(known.values[relation]))

    key = f"facts:{relation}:{number}:{order}:{name}"
    answer = known.facts[name, relation]
    return Problem("facts", key, question, answer, wrong, wrong, hard)
