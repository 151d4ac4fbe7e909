"""Prompts into caches: plans of `reading` carried out on the device."""

from collections.abc import Mapping, Sequence

import numpy as np

from moco_jax.decoding import loop, reading
from moco_jax.decoding.buckets import length_bucket, power_bucket, prefill_rows
from moco_jax.decoding.groups import Group, Weights, rows_of
from moco_jax.models.decoder import KVCache


def read_texts(
    group: Group,
    weights: Weights,
    cache: KVCache,
    texts: Mapping[int, reading.Text],
    resident: Mapping[int, reading.Text],
) -> KVCache:
    """Reads texts into their slots of a cache, what some share only once; see `reading.plan`."""
    owners = {slot: owner for slot, (owner, _) in texts.items()}
    for turn in reading.plan(texts, resident):
        cache = copy_prefixes(group, cache, turn.copies)
        cache = read_blocks(group, weights, cache, turn.blocks, owners)
    return cache


def copy_prefixes(group: Group, cache: KVCache, copies: Sequence[reading.Copy]) -> KVCache:
    """Copies what rows of a cache share with others."""
    width = rows_of(group, cache)
    buckets: dict[int, list[reading.Copy]] = {}
    for copy in copies:
        buckets.setdefault(length_bucket(copy[2]), []).append(copy)
    for context, parts in sorted(buckets.items()):
        sources, targets = np.zeros(width, np.int32), np.full(width, width, np.int32)
        sources[: len(parts)] = [source for source, _, _ in parts]
        targets[: len(parts)] = [target for _, target, _ in parts]
        cache = loop.copy_prefix(group, context, cache, sources, targets)
    return cache


def read_blocks(
    group: Group,
    weights: Weights,
    cache: KVCache,
    blocks: Sequence[reading.Block],
    owners: Mapping[int, int],
) -> KVCache:
    """Computes blocks and writes them into a cache, a fixed number of rows at a time.

    The shapes of a block follow from its own position and length, and from the width, only.
    """
    width = rows_of(group, cache)
    each = max(1, prefill_rows(width) // group.shares)
    shapes: dict[tuple[int, int], list[reading.Block]] = {}
    for block in blocks:
        _, start, tokens = block
        shapes.setdefault((start, power_bucket(len(tokens))), []).append(block)
    for (start, size), parts in sorted(shapes.items()):
        for batch in reading.batches(parts, owners, group.shares, each):
            rows = np.full(len(batch), width, np.int32)
            tokens = np.zeros((len(batch), size), np.int32)
            positions = np.full((len(batch), size), -1, np.int32)
            sets = np.zeros(len(batch), np.int32)
            for row, filled in enumerate(batch):
                if filled is not None:
                    slot, _, part = filled
                    rows[row], sets[row] = slot, owners[slot]
                    tokens[row, : len(part)] = part
                    positions[row, : len(part)] = np.arange(start, start + len(part))
            context = length_bucket(start + size)
            cache = loop.prefill(group, context, weights, cache, rows, tokens, positions, sets)
    return cache
