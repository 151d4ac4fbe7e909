"""A stage: slots that share one cache capacity, and the rows that stand in them."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from moco_jax.decoding import loop
from moco_jax.decoding.buckets import prefill_rows
from moco_jax.decoding.groups import Group, new_cache
from moco_jax.decoding.prefill import read_texts
from moco_jax.decoding.reading import Text
from moco_jax.decoding.work import Job, Machine, Stream, stream_of

StopRule = Callable[[int, np.ndarray], bool]
"""`(index of the job, its tokens so far) -> whether it ends`; asked after every chunk."""


class Stage:
    """Rows of a machine at one cache capacity.

    A row whose text outgrows the capacity pauses, and goes on in a larger stage.

    Attributes:
        size: the capacity, in slots of the cache.
        owner: index of the job in each slot that has one.
    """

    def __init__(self, machine: Machine, size: int, room: int, theta: loop.PyTree):
        """An empty stage for answers of up to `room` tokens; `theta` is some row's settings."""
        self._machine = machine
        self.size = size
        self.owner: dict[int, int] = {}
        self._held: dict[int, Job] = {}
        self._rows = loop.empty_rows(machine.program, machine.width, room, theta)
        self._caches = tuple(
            new_cache(
                group, group.voices * machine.width, size, jax.tree.leaves(weights.params)[0].dtype
            )
            for group, weights in zip(machine.program.groups, machine.weights, strict=True)
        )

    @property
    def full(self) -> bool:
        """Whether every slot has a row."""
        return len(self.owner) == self._machine.width

    @property
    def running(self) -> bool:
        """Whether some row can go on here."""
        return any(self._rows.finish[slot] == loop.RUNNING for slot in self.owner)

    @property
    def paused(self) -> dict[int, int]:
        """Slots whose rows wait for a larger stage, with their jobs."""
        return {s: i for s, i in self.owner.items() if self._rows.finish[s] != loop.RUNNING}

    def free(self, jobs: Sequence[Job], wanted: Sequence[int]) -> dict[int, int]:
        """Free slots for wanted jobs, first come first served within each share."""
        shares = self._machine.shares
        each = self._machine.width // shares
        queues: dict[int, list[int]] = {}
        for index in reversed(wanted):
            queues.setdefault(jobs[index].owner if shares > 1 else 0, []).append(index)
        slots = (slot for slot in range(self._machine.width) if slot not in self.owner)
        places = [(slot, queues.get(slot // each, [])) for slot in slots]
        return {slot: queue.pop() for slot, queue in places if queue}

    def admit(self, jobs: Sequence[Job], waiting: Sequence[int]) -> list[int]:
        """Takes in as many waiting jobs as fit, reads their prompts, and says who still waits."""
        admitted = self.free(jobs, waiting)
        if not admitted:
            return list(waiting)
        fresh = {slot: jobs[index] for slot, index in admitted.items()}
        _write_rows(self._machine.program, self._rows, fresh)
        for slot, job in fresh.items():
            self._rows.budget[slot] = self._allowed(job)
        caches, machine = [], self._machine
        for index, members in enumerate(machine.program.members):
            texts, resident = (_texts(held, members, machine.width) for held in (fresh, self._held))
            group, weights = machine.program.groups[index], machine.weights[index]
            caches.append(read_texts(group, weights, self._caches[index], texts, resident))
        self._caches = tuple(caches)
        self.owner |= admitted
        self._held |= fresh
        taken = set(admitted.values())
        return [index for index in waiting if index not in taken]

    def decode(self, more: bool) -> None:
        """Generates a chunk; leaves early for free slots when there are `more` rows for them."""
        machine = self._machine
        idle = sum(self._rows.finish != loop.RUNNING)
        patience = min(idle + prefill_rows(machine.width), machine.width)
        self._caches, rows = loop.decode(
            machine.program,
            machine.weights,
            self._caches,
            self._rows,
            machine.knobs,
            jnp.array(machine.eos or (-1,), jnp.int32),
            jnp.int32(machine.chunk),
            jnp.int32(patience if more else machine.width),
        )
        self._rows = jax.tree.map(np.array, jax.device_get(rows))

    def finished(self, jobs: Sequence[Job], stopped: StopRule) -> Iterator[tuple[int, Stream]]:
        """Gives out the rows that are done, (index of the job, its stream)."""
        rows = self._rows
        for slot, index in sorted(self.owner.items()):
            tokens = np.asarray(rows.tokens[slot, : rows.step[slot]])
            if rows.finish[slot] != loop.STOP and stopped(index, tokens):
                rows.finish[slot] = loop.STOP
            outgrown = rows.finish[slot] == loop.LENGTH and rows.step[slot] < jobs[index].budget
            if rows.finish[slot] != loop.RUNNING and not outgrown:
                del self.owner[slot]
                yield index, stream_of(rows, slot)

    def take_over(self, other: "Stage", jobs: Sequence[Job], wanted: Sequence[int]) -> None:
        """Moves jobs that pause in a smaller stage into free slots of this one."""
        places = self.free(jobs, wanted)
        if not places:
            return
        slot_of = {index: slot for slot, index in other.owner.items()}
        width = self._machine.width
        sources, targets = np.zeros(width, np.int32), np.full(width, width, np.int32)
        for number, (slot, index) in enumerate(places.items()):
            sources[number], targets[number] = slot_of[index], slot
            _copy_row(self._rows, slot, other._rows, slot_of[index])
            self.owner[slot] = index
            self._held[slot] = jobs[index]
            del other.owner[slot_of[index]]
            self._rows.finish[slot] = loop.RUNNING
            self._rows.budget[slot] = self._allowed(jobs[index])
        self._caches = tuple(
            loop.move_rows(
                group, theirs, ours, _every(group, sources, width), _every(group, targets, width)
            )
            for group, theirs, ours in zip(
                self._machine.program.groups, other._caches, self._caches, strict=True
            )
        )

    def _allowed(self, job: Job) -> int:
        """Tokens a row may have generated when it ends or outgrows the cache."""
        return min(job.budget, self.size - (job.longest - 1))


def _texts(jobs: Mapping[int, Job], members: range, width: int) -> dict[int, Text]:
    """What a group's cache holds of the prompts of `jobs`, by row: voices one after another."""
    return {
        voice * width + slot: (job.owner + voice, job.prompts[member][:-1])
        for voice, member in enumerate(members)
        for slot, job in jobs.items()
    }


def _every(group: Group, slots: np.ndarray, width: int) -> np.ndarray:
    """The rows of a group's cache that belong to slots; those beyond `width` stay beyond it."""
    voices = np.arange(group.voices)[:, None]
    rows = np.where(slots < width, voices * width + slots, group.voices * width)
    return rows.reshape(-1).astype(np.int32)


def _copy_row(rows: loop.Rows, slot: int, others: loop.Rows, other: int) -> None:
    """Writes one row of host arrays over another."""
    for field in dataclasses.fields(rows):
        mine_and_theirs = (jax.tree.leaves(getattr(held, field.name)) for held in (rows, others))
        for mine, theirs in zip(*mine_and_theirs, strict=True):
            if field.name in ("last", "position"):
                mine[:, slot] = theirs[:, other]
            else:
                mine[slot] = theirs[other]


def _write_rows(program: loop.Program, rows: loop.Rows, jobs: dict[int, Job]) -> None:
    """Resets the slots of `jobs` on the host."""
    for slot, job in jobs.items():
        for member, prompt in enumerate(job.prompts):
            rows.last[member, slot] = prompt[-1]
            rows.position[member, slot] = len(prompt) - 1
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
