"""Log-probabilities of given text; a prompt that several continuations share is read once."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from moco_jax.decoding import loop
from moco_jax.decoding.buckets import PREFILL_BLOCK, PREFILL_ROWS, length_bucket, power_bucket
from moco_jax.decoding.groups import Group, Weights, new_cache
from moco_jax.decoding.keys import ENGINE_VERSION, digest
from moco_jax.decoding.types import Usage
from moco_jax.models.config import ModelConfig
from moco_jax.models.cost import generation_flops
from moco_jax.models.decoder import KVCache

Pair = tuple[np.ndarray, np.ndarray]


def score_rows(
    group: Group, weights: Weights, rows: Sequence[Pair]
) -> Iterator[tuple[int, np.ndarray]]:
    """Scores continuations, yielding (row, f32[n] log-probability of each continuation token).

    Args:
        group: a single parameter set.
        weights: its arrays.
        rows: (prompt i32[p], continuation i32[n]), both of at least one token.

    Each distinct prompt is computed once, whatever follows it. All shapes a row goes through follow
    from the lengths of its own prompt and continuation, and a fixed number of rows run together,
    so a score does not depend on the other rows.
    """
    shapes: dict[int, dict[bytes, list[int]]] = {}
    for index, (prompt, _) in enumerate(rows):
        # The last token of a prompt is fed with what follows, since it predicts it
        same = shapes.setdefault(length_bucket(len(prompt) - 1), {})
        same.setdefault(prompt.tobytes(), []).append(index)
    for size, prompts in sorted(shapes.items()):
        found = list(prompts.values())
        for first in range(0, len(found), PREFILL_ROWS):
            part = found[first : first + PREFILL_ROWS]
            cache = _read(group, weights, [rows[indices[0]][0] for indices in part], size)
            yield from _follow(group, weights, rows, part, cache, size)


def _read(group: Group, weights: Weights, prompts: Sequence[np.ndarray], size: int) -> KVCache:
    """A cache of `size` slots that holds all but the last token of each prompt."""
    dtype = jax.tree.leaves(weights.params)[0].dtype
    cache = new_cache(group, PREFILL_ROWS, size, dtype)
    tokens = np.zeros((PREFILL_ROWS, size), np.int32)
    positions = np.full((PREFILL_ROWS, size), -1, np.int32)
    for row, prompt in enumerate(prompts):
        count = len(prompt) - 1
        tokens[row, :count], positions[row, :count] = prompt[:-1], np.arange(count)
    slots, owners = np.arange(PREFILL_ROWS), np.zeros(PREFILL_ROWS, np.int32)
    for start in range(0, size, PREFILL_BLOCK):
        end = min(start + PREFILL_BLOCK, size)
        block, places = tokens[:, start:end], positions[:, start:end]
        cache = loop.prefill(group, end, weights, cache, slots, block, places, owners)
    return cache


def _follow(
    group: Group,
    weights: Weights,
    rows: Sequence[Pair],
    prompts: Sequence[Sequence[int]],
    cache: KVCache,
    read: int,
) -> Iterator[tuple[int, np.ndarray]]:
    """Scores the continuations of the prompts in a cache.

    Args:
        group: a single parameter set.
        weights: its arrays.
        rows: all prompts and continuations.
        prompts: per row of the cache, the indices in `rows` of what follows it.
        cache: from `_read`.
        read: its slots.
    """
    dtype = jax.tree.leaves(cache)[0].dtype
    sizes: dict[int, list[tuple[int, int]]] = {}
    for slot, indices in enumerate(prompts):
        for index in indices:
            sizes.setdefault(power_bucket(len(rows[index][1]) + 1), []).append((slot, index))
    for size, pairs in sorted(sizes.items()):
        for first in range(0, len(pairs), PREFILL_ROWS):
            part = pairs[first : first + PREFILL_ROWS]
            sources = np.zeros(PREFILL_ROWS, np.int32)
            tokens = np.zeros((PREFILL_ROWS, size), np.int32)
            positions = np.full((PREFILL_ROWS, size), -1, np.int32)
            for row, (slot, index) in enumerate(part):
                prompt, text = rows[index]
                fed = np.concatenate([prompt[-1:], text])
                sources[row], tokens[row, : len(fed)] = slot, fed
                positions[row, : len(fed)] = np.arange(len(prompt) - 1, len(prompt) + len(text))
            copies = new_cache(group, PREFILL_ROWS, length_bucket(read + size), dtype)
            copies = loop.move_rows(group, cache, copies, sources, np.arange(PREFILL_ROWS))
            found = np.asarray(loop.token_logprobs(group, weights, tokens, positions, copies))
            for row, (_, index) in enumerate(part):
                yield index, found[row, 1 : 1 + len(rows[index][1])]


def score_key(place: Sequence[str], prompt: np.ndarray, continuation: np.ndarray) -> str:
    """The store's key of a score; `place` is from `call.place_of`."""
    return digest("score", ENGINE_VERSION, *place, prompt, continuation)


def score_usage(config: ModelConfig, prompt: int, count: int, read: bool = False) -> Usage:
    """What it costs to score `count` tokens after a prompt.

    Args:
        config: the member's architecture.
        prompt: tokens of the prompt.
        count: tokens of the continuation.
        read: another continuation of the same prompt, asked for at the same time, has paid for
            all of the prompt but its last token's logits.
    """
    flops = generation_flops(config, prompt, count)
    if read:
        return Usage(count, 0, 1, flops - generation_flops(config, prompt - 1, 0))
    return Usage(prompt + count, 0, 1, flops)


class Reading(NamedTuple):
    """A continuation that a member scores, as far as it matters for what that costs.

    Attributes:
        config: the member's architecture.
        name: of the member.
        item: id of the item it serves.
        prompt: i32[p].
        length: tokens of the continuation.
    """

    config: ModelConfig
    name: str
    item: str
    prompt: np.ndarray
    length: int


def score_usages(readings: Iterable[Reading]) -> Iterator[Usage]:
    """The cost of everything that is scored in one call.

    A prompt is read once for each member and item, however often it is asked about: the first
    continuation pays. Items do not share, so that each costs what it would cost alone.
    """
    met: set[tuple[str, str, bytes]] = set()
    for config, name, item, prompt, length in readings:
        asked = name, item, np.asarray(prompt, np.int32).tobytes()
        yield score_usage(config, len(prompt), length, read=asked in met)
        met.add(asked)
