"""Which steps of sampling apply, and their values."""

import dataclasses
from typing import NamedTuple, Protocol


class Settings(Protocol):
    """What the user chose; `moco_jax.Sampling` is one."""

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repetition_penalty: float

    @property
    def greedy(self) -> bool:
        """Whether the most likely token is taken."""


@dataclasses.dataclass(frozen=True)
class Filters:
    """Which steps of sampling a program contains; static, so that unused ones cost nothing."""

    greedy: bool
    top_k: bool
    top_p: bool
    min_p: bool
    penalty: bool

    @classmethod
    def of(cls, sampling: Settings) -> "Filters":
        """The filters that `sampling` switches on."""
        draws = not sampling.greedy
        return cls(
            greedy=sampling.greedy,
            top_k=draws and sampling.top_k > 0,
            top_p=draws and sampling.top_p < 1,
            min_p=draws and sampling.min_p > 0,
            penalty=sampling.repetition_penalty != 1,
        )

    @property
    def any(self) -> bool:
        """Whether some tokens may be ruled out before the draw."""
        return self.top_k or self.top_p or self.min_p


class Knobs(NamedTuple):
    """The values of the filters, scalars; changing one compiles nothing."""

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    penalty: float

    @classmethod
    def of(cls, sampling: Settings) -> "Knobs":
        """The values in `sampling`."""
        return cls(
            sampling.temperature,
            sampling.top_k,
            sampling.top_p,
            sampling.min_p,
            sampling.repetition_penalty,
        )
