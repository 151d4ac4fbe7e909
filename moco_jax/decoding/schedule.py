"""Rows of work over the slots of the decode loop: admission, prefill, refill, finish.

What a row generates depends on its own prompt, key, budget and the decode width, and on nothing
else: each prompt is prefilled in blocks whose shapes follow from its own length, at a fixed number
of rows, and rows share a cache only with rows that need the same capacity.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from moco_jax.decoding import loop, reading
from moco_jax.decoding.buckets import PREFILL_ROWS, length_bucket, power_bucket
from moco_jax.decoding.groups import Group, Weights, new_cache, rows_of
from moco_jax.decoding.sampling import Knobs
from moco_jax.models.decoder import KVCache

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Job:
    """One row of work.

    Attributes:
        prompts: one token array i32[n] per group; each holds at least one token.
        key: u32[2] threefry key data.
        budget: most tokens to generate, at least 1.
        theta: the policy's settings for this row, without the row axis.
        owner: which parameter set of a population answers.
    """

    prompts: tuple[np.ndarray, ...]
    key: np.ndarray
    budget: int
    theta: PyTree = ()
    owner: int = 0


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
        weights: the groups' weights.
        knobs: values of the sampling filters.
        eos: ids that end a row.
        width: rows decoded together; a multiple of the groups' shares.
        chunk: most tokens between two looks of the host.
    """

    program: loop.Program
    weights: tuple[Weights, ...]
    knobs: Knobs
    eos: tuple[int, ...]
    width: int
    chunk: int

    @property
    def shares(self) -> int:
        """How many equal shares the slots have, one per parameter set of a population."""
        return max(group.shares for group in self.program.groups)


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
    return power_bucket(max(longest + job.budget, reading.slots_needed(0, longest - 1)))


def _run_batch(
    machine: Machine, jobs: Sequence[Job], length: int, stopped: StopRule
) -> Iterator[tuple[int, Stream]]:
    """Generates jobs of one capacity."""
    waiting = sorted(range(len(jobs)), key=lambda index: len(jobs[index].prompts[0]))
    longest_answer = length_bucket(max(job.budget for job in jobs))
    rows = loop.empty_rows(machine.program, machine.width, longest_answer, jobs[0].theta)
    caches = tuple(
        new_cache(group, machine.width, length, jax.tree.leaves(weights.params)[0].dtype)
        for group, weights in zip(machine.program.groups, machine.weights, strict=True)
    )
    eos = jnp.array(machine.eos or (-1,), jnp.int32)
    owner: dict[int, int] = {}
    held: dict[int, Job] = {}
    while waiting or owner:
        free = [slot for slot in range(machine.width) if slot not in owner]
        admitted = _assign(machine, free, waiting, jobs)
        if admitted:
            gone = set(admitted.values())
            waiting = [index for index in waiting if index not in gone]
            fresh = {slot: jobs[index] for slot, index in admitted.items()}
            rows = _admit(machine.program, rows, fresh)
            caches = _prefill(machine, caches, fresh, held)
            owner |= admitted
            held |= fresh
        patience = machine.width
        if waiting:
            # Slots of a share that nobody waits for stay free
            idle = machine.width - len(owner)
            patience = min(idle + min(PREFILL_ROWS, machine.width), machine.width)
        caches, rows = loop.decode(
            machine.program,
            machine.weights,
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


def _assign(
    machine: Machine, free: Sequence[int], waiting: Sequence[int], jobs: Sequence[Job]
) -> dict[int, int]:
    """Free slots and who gets them, first come first served within each share."""
    queues: dict[int, list[int]] = {}
    for index in reversed(waiting):
        queues.setdefault(jobs[index].owner if machine.shares > 1 else 0, []).append(index)
    each = machine.width // machine.shares
    places = [(slot, queues.get(slot // each, [])) for slot in free]
    return {slot: queue.pop() for slot, queue in places if queue}


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
        rows.step[slot], rows.budget[slot], rows.owner[slot] = 0, job.budget, job.owner
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
    machine: Machine,
    caches: tuple[KVCache, ...],
    fresh: Mapping[int, Job],
    held: Mapping[int, Job],
) -> tuple[KVCache, ...]:
    """Writes all but the last prompt token of every fresh job into its slot, group by group.

    `held` are the jobs whose prompts stood in the slots before.
    """
    owners = {slot: job.owner for slot, job in fresh.items()}
    filled = []
    for index, (group, cache) in enumerate(zip(machine.program.groups, caches, strict=True)):
        texts, resident = (
            {slot: (job.owner, job.prompts[index][:-1]) for slot, job in jobs.items()}
            for jobs in (fresh, held)
        )
        for turn in reading.plan(texts, resident):
            cache = copy_prefixes(group, cache, turn.copies)
            cache = read_blocks(group, machine.weights[index], cache, turn.blocks, owners)
        filled.append(cache)
    return tuple(filled)


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
    each = max(1, min(PREFILL_ROWS, width) // group.shares)
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
