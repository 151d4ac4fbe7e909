"""Rows of work, what they run on, and what comes of them."""

import dataclasses
from typing import Any

import numpy as np

from moco_jax.decoding import loop
from moco_jax.decoding.groups import Weights
from moco_jax.decoding.sampling import Knobs

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Job:
    """One row of work.

    Attributes:
        prompts: one token array i32[n] per member; each holds at least one token.
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

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt."""
        return max(len(prompt) for prompt in self.prompts)


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
        width: texts decoded together; a multiple of `shares`.
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
        return max(group.shares // group.voices for group in self.program.groups)


def stream_of(rows: loop.Rows, slot: int) -> Stream:
    """What a row of host arrays has generated."""
    count = rows.step[slot]
    return Stream(
        tokens=np.array(rows.tokens[slot, :count]),
        logprobs=np.array(rows.logprobs[slot, :count]),
        speakers=np.array(rows.speaker[slot, :count]),
        finish=int(rows.finish[slot]),
    )
