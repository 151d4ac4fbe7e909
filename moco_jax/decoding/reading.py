"""How prompts are read into a cache: in blocks at fixed cuts, and shared prefixes only once.

Prompts are cut at 128, 256 and 512 tokens, then at every further 512, whoever else is read. So the
work on a prompt is the same alone and in company, and what two prompts share up to a cut is the
same to the bit: the second row copies it.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from moco_jax.decoding.buckets import PREFILL_BLOCK, length_bucket, power_bucket

FIRST_CUTS = (128, 256)

Block = tuple[int, int, np.ndarray]
"""Slot, position of the first token, tokens i32[n] with n at most `PREFILL_BLOCK`."""
Text = tuple[int, np.ndarray]
"""The parameter set that reads it, and its tokens i32[n]; only rows of one set share anything."""
Copy = tuple[int, int, int]
"""Slot to copy from, slot to copy to, how many tokens."""
Key = tuple[int, int, bytes]
"""What rows may share: the parameter set, how many tokens, and these tokens."""


@dataclasses.dataclass(frozen=True)
class Round:
    """Copies, then blocks to compute; a round needs those before it."""

    copies: tuple[Copy, ...]
    blocks: tuple[Block, ...]


def next_cut(position: int) -> int:
    """The first cut beyond a position."""
    cuts = [cut for cut in FIRST_CUTS if cut > position]
    return cuts[0] if cuts else (position // PREFILL_BLOCK + 1) * PREFILL_BLOCK


def blocks_of(slot: int, start: int, tokens: np.ndarray) -> list[Block]:
    """Cuts tokens that begin at position `start` of a slot into blocks."""
    blocks, end = [], start + len(tokens)
    position = start
    while position < end:
        stop = min(next_cut(position), end)
        blocks.append((slot, position, tokens[position - start : stop - start]))
        position = stop
    return blocks


def slots_needed(start: int, count: int) -> int:
    """Cache slots that reading `count` tokens from position `start` touches."""
    end = start + count
    last = start
    while next_cut(last) < end:
        last = next_cut(last)
    return length_bucket(last + power_bucket(end - last))


def plan(texts: Mapping[int, Text], resident: Mapping[int, Text]) -> list[Round]:
    """How to read texts into their slots, each prefix that some share only once.

    Args:
        texts: by slot to fill.
        resident: what slots hold from position 0 on; those among `texts` are written over.
    """
    wanted = {slot: _prefixes(*text) for slot, text in texts.items()}
    held: dict[Key, tuple[int, int]] = {}
    for slot, text in resident.items():
        for key in _prefixes(*text):
            if slot not in wanted or key in wanted[slot]:
                held.setdefault(key, (slot, -1))
    copies: dict[int, list[Copy]] = {}
    blocks: dict[int, list[Block]] = {}
    for slot, keys in wanted.items():
        known = next((key for key in reversed(keys) if key in held), None)
        start, turn = 0, 0
        if known is not None:
            source, before = held[known]
            start, turn = known[1], before + 1
            if source != slot:
                copies.setdefault(turn, []).append((source, slot, start))
        blocks.setdefault(turn, []).extend(blocks_of(slot, start, texts[slot][1][start:]))
        for key in keys:
            held.setdefault(key, (slot, turn))
    return [
        Round(tuple(copies.get(turn, ())), tuple(blocks.get(turn, ()))) for turn in sorted(blocks)
    ]


def _prefixes(owner: int, text: np.ndarray) -> list[Key]:
    """Keys of what a text holds up to each cut and to its end, shortest first."""
    ends = [start + len(tokens) for _, start, tokens in blocks_of(0, 0, text)]
    return [(owner, end, text[:end].tobytes()) for end in ends]


def batches(
    blocks: Sequence[Block], owners: Mapping[int, int], shares: int, each: int
) -> list[list[Block | None]]:
    """Sorts blocks of one shape into batches of `shares * each` rows, None where one is free.

    Args:
        blocks: the blocks.
        owners: the parameter set of every slot.
        shares: equal shares of the rows, one per parameter set; 1 takes all sets alike.
        each: rows of a share.
    """
    queues: list[list[Block]] = [[] for _ in range(shares)]
    for block in blocks:
        queues[owners[block[0]] if shares > 1 else 0].append(block)
    longest = max(len(queue) for queue in queues)
    return [
        [
            queue[place] if place < len(queue) else None
            for queue in queues
            for place in range(first, first + each)
        ]
        for first in range(0, longest, each)
    ]
