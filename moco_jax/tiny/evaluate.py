"""Quick scores of a member while the pool is made: is every answer token the most likely one?

That is exactly whether greedy decoding would write the answer, at the cost of one forward pass.
The scores that the documentation states come from the library's own decoding.
"""

import functools
import pathlib
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from moco_jax.models.checkpoint import load_checkpoint
from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import Params, forward, unembed
from moco_jax.models.tokenizer import ChatTemplate, load_tokenizer
from moco_jax.tiny import protocols, skills
from moco_jax.tiny.problems import SKILLS
from moco_jax.tiny.speech import Speaker, tokenize
from moco_jax.training.data import Batch, Example, pad

ROWS, MULTIPLE = 64, 32


def examinations(
    count: int, among: Sequence[str] = SKILLS, seed: int = 7
) -> dict[str, list[Example]]:
    """Dev examples by what they examine: plain questions per skill, and every other role.

    Whatever is chosen while the pool is made is chosen by these; test problems are for the end.

    Args:
        count: examples of each.
        among: skills that the other roles are examined in, which the member should have.
        seed: of the problems.
    """
    rng = np.random.default_rng(seed)
    found = questions(count, seed)
    for name, protocol in protocols.PROTOCOLS.items():
        if name != "answer":
            drawn = [skills.draw(str(rng.choice(list(among))), rng, "dev") for _ in range(count)]
            found[name] = [protocol(Speaker(), problem, rng) for problem in drawn]
    return found


def questions(count: int, seed: int = 7) -> dict[str, list[Example]]:
    """Dev examples of plain questions by skill."""
    rng = np.random.default_rng(seed)
    ask = protocols.PROTOCOLS["answer"]
    return {
        skill: [ask(Speaker(), skills.draw(skill, rng, "dev"), rng) for _ in range(count)]
        for skill in SKILLS
    }


def batches(template: ChatTemplate, examples: Sequence[Example]) -> list[Batch]:
    """Examples in batches of `ROWS` rows, as long as the longest of all needs."""
    encoded = [tokenize(template, example) for example in examples]
    longest = max(len(example.tokens) for example in encoded) - 1
    length = -(-longest // MULTIPLE) * MULTIPLE
    return [
        pad(encoded[first : first + ROWS], ROWS, length) for first in range(0, len(encoded), ROWS)
    ]


@functools.partial(jax.jit, static_argnums=0)
def answered(config: ModelConfig, params: Params, batch: Batch) -> jax.Array:
    """bool[B]: whether greedy decoding writes the row's answer; True for rows of padding."""
    hidden, _ = forward(config, params, batch.tokens, batch.positions)
    best = unembed(config, params, hidden).argmax(-1)
    return jnp.where(batch.weights > 0, best == batch.targets, True).all(axis=1)


def scores(
    config: ModelConfig, params: Params, exams: Mapping[str, tuple[list[Batch], int]]
) -> dict[str, float]:
    """Share of answers written exactly, per examination: (batches, number of examples)."""
    return {
        name: float(
            np.concatenate([answered(config, params, batch) for batch in parts])[:count].mean()
        )
        for name, (parts, count) in exams.items()
    }


def examine(
    directory: pathlib.Path, among: Sequence[str] = SKILLS, count: int = 128
) -> dict[str, float]:
    """Scores of a member that is no adapter, in all `examinations`.

    Args:
        directory: where it stands.
        among: its skills.
        count: examples of each examination.
    """
    found = load_checkpoint(directory, dtype=jnp.float32)
    template = ChatTemplate(load_tokenizer(directory))
    exams = {
        name: (batches(template, examples), count)
        for name, examples in examinations(count, among).items()
    }
    return scores(found.config, found.params, exams)
