"""Rows of work over the slots of the decode loop: admission, prefill, refill, finish.

What a row generates depends on its own prompt, key, budget and the decode width, and on nothing
else: each prompt is prefilled in blocks whose shapes follow from its own length, at a fixed number
of rows, and rows share a cache only with rows that need the same capacity.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from moco_jax.decoding import loop
from moco_jax.decoding.buckets import (
    PREFILL_BLOCK,
    PREFILL_ROWS,
    length_bucket,
    power_bucket,
)
from moco_jax.decoding.sampling import Knobs
from moco_jax.models.decoder import KVCache, init_cache

PyTree = Any
Block = tuple[int, int, np.ndarray]
"""Slot, position of the first token, tokens i32[n] with n at most `PREFILL_BLOCK`."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One row of work.

    Attributes:
        prompts: one token array i32[n] per group; each holds at least one token.
        key: u32[2] threefry key data.
        budget: most tokens to generate, at least 1.
        theta: the policy's settings for this row, without the row axis.
    """

    prompts: tuple[np.ndarray, ...]
    key: np.ndarray
    budget: int
    theta: PyTree = ()


@dataclasses.dataclass(frozen=True)
class Stream:
    """What a job generated: parallel arrays of tokens, log-probabilities and speakers."""

    tokens: np.ndarray
    logprobs: np.ndarray
    speakers: np.ndarray
    finish: int


@dataclasses.dataclass(frozen=True)
class Machine:
    """A compiled program, the weights it runs on, and how wide.

    Attributes:
        program: what is compiled.
        params: the groups' weights.
        knobs: values of the sampling filters.
        eos: ids that end a row.
        width: rows decoded together.
        chunk: most tokens between two looks of the host.
    """

    program: loop.Program
    params: tuple[PyTree, ...]
    knobs: Knobs
    eos: tuple[int, ...]
    width: int
    chunk: int


StopRule = Callable[[int, np.ndarray], bool]
"""`(index of the job, its tokens so far) -> whether it ends`; asked after every chunk."""


def never(index: int, tokens: np.ndarray) -> bool:
    """The rule that stops nothing."""
    del index, tokens
    return False


def run(
    machine: Machine,
    jobs: Sequence[Job],
    stopped: StopRule = never,
) -> Iterator[tuple[int, Stream]]:
    """Generates all jobs, yielding (index of the job, its stream) as they finish.

    Args:
        machine: program, weights and width.
        jobs: the rows of work; order does not matter to what they generate.
        stopped: may end a row early.
    """
    batches: dict[int, list[int]] = {}
    for index, job in enumerate(jobs):
        batches.setdefault(capacity(job), []).append(index)
    for length, indices in sorted(batches.items()):
        batch = [jobs[index] for index in indices]

        def ends(place: int, tokens: np.ndarray, indices: list[int] = indices) -> bool:
            return stopped(indices[place], tokens)

        for place, stream in _run_batch(machine, batch, length, ends):
            yield indices[place], stream


def capacity(job: Job) -> int:
    """Cache slots that a job needs; a coarse bucket of its own prompt and budget."""
    longest = max(len(prompt) for prompt in job.prompts)
    return power_bucket(max(longest + job.budget, slots_needed(0, longest - 1)))


def _run_batch(
    machine: Machine, jobs: Sequence[Job], length: int, stopped: StopRule
) -> Iterator[tuple[int, Stream]]:
    """Generates jobs of one capacity."""
    waiting = sorted(range(len(jobs)), key=lambda index: -len(jobs[index].prompts[0]))
    longest_answer = length_bucket(max(job.budget for job in jobs))
    rows = loop.empty_rows(machine.program, machine.width, longest_answer, jobs[0].theta)
    caches = tuple(
        init_cache(config, machine.width, length, jax.tree.leaves(params)[0].dtype)
        for config, params in zip(machine.program.configs, machine.params, strict=True)
    )
    eos = jnp.array(machine.eos or (-1,), jnp.int32)
    owner: dict[int, int] = {}
    while waiting or owner:
        free = [slot for slot in range(machine.width) if slot not in owner]
        admitted = {slot: waiting.pop() for slot in free[: len(waiting)]}
        if admitted:
            rows = _admit(machine.program, rows, {s: jobs[j] for s, j in admitted.items()})
            caches = _prefill(machine, caches, {s: jobs[j] for s, j in admitted.items()})
            owner |= admitted
        patience = machine.width
        if waiting:
            patience = min(PREFILL_ROWS, machine.width)
        caches, rows = loop.decode(
            machine.program,
            machine.params,
            caches,
            rows,
            machine.knobs,
            eos,
            jnp.int32(machine.chunk),
            jnp.int32(patience),
        )
        rows = jax.tree.map(np.array, jax.device_get(rows))
        for slot in _finished(rows, owner, stopped):
            yield owner.pop(slot), stream_of(rows, slot)


def _finished(rows: loop.Rows, owner: dict[int, int], stopped: StopRule) -> list[int]:
    """Owned slots that are done; rows ended by `stopped` are marked so."""
    for slot, index in owner.items():
        tokens = np.asarray(rows.tokens[slot, : rows.step[slot]])
        if rows.finish[slot] != loop.STOP and stopped(index, tokens):
            rows.finish[slot] = loop.STOP
    return [slot for slot in sorted(owner) if rows.finish[slot] != loop.RUNNING]


def stream_of(rows: loop.Rows, slot: int) -> Stream:
    """What a row of host arrays has generated."""
    count = rows.step[slot]
    return Stream(
        tokens=np.array(rows.tokens[slot, :count]),
        logprobs=np.array(rows.logprobs[slot, :count]),
        speakers=np.array(rows.speaker[slot, :count]),
        finish=int(rows.finish[slot]),
    )


def _admit(program: loop.Program, rows: loop.Rows, jobs: dict[int, Job]) -> loop.Rows:
    """Resets the slots of `jobs` on the host."""
    for slot, job in jobs.items():
        for group, prompt in enumerate(job.prompts):
            rows.last[group, slot] = prompt[-1]
            rows.position[group, slot] = len(prompt) - 1
        rows.step[slot], rows.budget[slot] = 0, job.budget
        rows.finish[slot], rows.key[slot] = loop.RUNNING, job.key
        for leaf, value in zip(
            jax.tree.leaves(rows.theta), jax.tree.leaves(job.theta), strict=True
        ):
            leaf[slot] = value
        if rows.seen is not None:
            rows.seen[slot] = False
            inside = [prompt[prompt < program.vocab_size] for prompt in job.prompts]
            rows.seen[slot, np.concatenate(inside)] = True
    fresh = program.combine.init(rows.theta)
    slots = list(jobs)
    for leaf, value in zip(jax.tree.leaves(rows.carry), jax.tree.leaves(fresh), strict=True):
        leaf[slots] = np.asarray(value)[slots]
    return rows


def _prefill(
    machine: Machine, caches: tuple[KVCache, ...], jobs: dict[int, Job]
) -> tuple[KVCache, ...]:
    """Writes all but the last prompt token of every job into its slot, group by group."""
    filled = []
    for group, cache in enumerate(caches):
        blocks = [
            block
            for slot, job in jobs.items()
            for block in blocks_of(slot, 0, job.prompts[group][:-1])
        ]
        config, params = machine.program.configs[group], machine.params[group]
        filled.append(prefill_blocks(config, params, cache, blocks))
    return tuple(filled)


def blocks_of(slot: int, start: int, tokens: np.ndarray) -> list[Block]:
    """Cuts tokens that begin at position `start` of a slot into prefill blocks."""
    return [
        (slot, start + first, tokens[first : first + PREFILL_BLOCK])
        for first in range(0, len(tokens), PREFILL_BLOCK)
    ]


def slots_needed(start: int, count: int) -> int:
    """Cache slots that prefilling `count` tokens from position `start` reads and writes."""
    last = start + (count - 1) // PREFILL_BLOCK * PREFILL_BLOCK if count else start
    return length_bucket(last + power_bucket(start + count - last))


def prefill_blocks(config: Any, params: PyTree, cache: KVCache, blocks: Sequence[Block]) -> KVCache:
    """Writes blocks (slot, first position, tokens) into a cache, a fixed number of rows at a time.

    The shapes of a block follow from its own position and length only.
    """
    shapes: dict[tuple[int, int], list[Block]] = {}
    for block in blocks:
        _, start, tokens = block
        shapes.setdefault((start, power_bucket(len(tokens))), []).append(block)
    for (start, size), parts in sorted(shapes.items()):
        for first in range(0, len(parts), PREFILL_ROWS):
            rows = np.full(PREFILL_ROWS, cache[0][0].shape[0], np.int32)
            tokens = np.zeros((PREFILL_ROWS, size), np.int32)
            positions = np.full((PREFILL_ROWS, size), -1, np.int32)
            for row, (slot, _, part) in enumerate(parts[first : first + PREFILL_ROWS]):
                rows[row] = slot
                tokens[row, : len(part)] = part
                positions[row, : len(part)] = np.arange(start, start + len(part))
            context = length_bucket(start + size)
            cache = loop.prefill(config, context, params, cache, rows, tokens, positions)
    return cache
