"""Rows of work over the slots of the decode loop: admission, refill, and growth.

What a row generates depends on its own prompt, key, budget and the decode width, and on nothing
else. Bits may change with the capacity of the cache, so capacity is a function of the row's own
length: a row begins in the smallest stage that has room for it and, when its text outgrows that,
goes on in one a few times larger. So attention never reads much more than there is.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from moco_jax.decoding import reading
from moco_jax.decoding.buckets import length_bucket, power_bucket
from moco_jax.decoding.stage import Stage, StopRule
from moco_jax.decoding.work import Job, Machine, Stream, stream_of

__all__ = ["Job", "Machine", "StopRule", "Stream", "capacity", "never", "run", "stream_of"]

SMALLEST_STAGE = 128
GROWTH = 4
"""How many times larger the next stage is: two fold would read less and hold more."""
START = 16
"""Tokens that should fit behind a prompt before it has to move."""


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
    waiting: dict[int, list[int]] = {}
    for index in sorted(range(len(jobs)), key=lambda index: jobs[index].longest):
        waiting.setdefault(first_stage(jobs[index]), []).append(index)
    room = length_bucket(max((job.budget for job in jobs), default=1))
    stages: dict[int, Stage] = {}

    def stage_of(size: int) -> Stage:
        if size not in stages:
            stages[size] = Stage(machine, size, room, jobs[0].theta)
        return stages[size]

    while waiting or stages:
        size = _next(stages, waiting)
        stage = stage_of(size)
        left = stage.admit(jobs, waiting.pop(size, []))
        if left:
            waiting[size] = left
        stage.decode(more=bool(left) or any(smaller < size for smaller in stages))
        yield from stage.finished(jobs, stopped)
        for smaller in sorted(stages):
            for larger, rows in _outgrown(stages[smaller], jobs).items():
                stage_of(larger).take_over(stages[smaller], jobs, rows)
        for size in [size for size in stages if not stages[size].owner and size not in waiting]:
            del stages[size]


def capacity(job: Job) -> int:
    """Most cache slots that a job may need; a coarse bucket of its own prompt and budget."""
    read = reading.slots_needed(0, job.longest - 1)
    return power_bucket(max(job.longest + job.budget, read))


def first_stage(job: Job) -> int:
    """Capacity of the stage that a job begins in."""
    read = reading.slots_needed(0, job.longest - 1)
    wanted = power_bucket(max(job.longest + START, read, SMALLEST_STAGE))
    return min(wanted, capacity(job))


def slots_of(jobs: Sequence[Job]) -> int:
    """Most cache slots per row that jobs may hold at once: those of all stages they may come to."""
    sizes = set()
    for job in jobs:
        size = first_stage(job)
        sizes.add(size)
        while size < capacity(job):
            size = next_stage(job, size)
            sizes.add(size)
    return sum(sizes)


def next_stage(job: Job, size: int) -> int:
    """Capacity of the stage that follows one of `size`."""
    return min(size * GROWTH, capacity(job))


def _outgrown(stage: Stage, jobs: Sequence[Job]) -> dict[int, list[int]]:
    """Jobs that pause in a stage, by the size of the one they go on in."""
    found: dict[int, list[int]] = {}
    for index in stage.paused.values():
        found.setdefault(next_stage(jobs[index], stage.size), []).append(index)
    return found


def _next(stages: Mapping[int, Stage], waiting: Mapping[int, Sequence[int]]) -> int:
    """The stage to run: the largest whose slots are all taken, else the smallest with work."""
    full = [size for size, stage in stages.items() if stage.full and stage.running]
    if full:
        return max(full)
    busy = [size for size, stage in stages.items() if stage.running]
    return min(busy + [size for size in waiting if size not in stages or not stages[size].full])
