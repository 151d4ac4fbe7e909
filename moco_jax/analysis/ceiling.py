"""How far a pool could go: what its members solve together, and what only collaboration does."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

SOLVED = 1.0

Scores = Sequence[float] | np.ndarray


@dataclasses.dataclass(frozen=True)
class Ceiling:
    """Bounds that need test answers; they are analysis, never a method.

    Attributes:
        oracle: mean over items of the best member's score.
        hindsight: name of the member that was best on test; ties go to the earlier one.
        hindsight_score: its mean score.
        some: share of items that at least one member solves.
        all: share of items that every member solves.
    """

    oracle: float
    hindsight: str
    hindsight_score: float
    some: float
    all: float


def ceiling(members: Mapping[str, Scores]) -> Ceiling:
    """Bounds of a pool.

    Args:
        members: each member's scores f64[n] on the same items, or f64[S, n] over seeds.

    Raises:
        ValueError: there are no scores, or members answered different numbers of items.
    """
    names, scores = list(members), _stacked(members)
    means = scores.reshape(len(names), -1).mean(axis=1)
    best = int(means.argmax())
    return Ceiling(
        oracle=float(scores.max(axis=0).mean()),
        hindsight=names[best],
        hindsight_score=float(means[best]),
        some=float((scores >= SOLVED).any(axis=0).mean()),
        all=float((scores >= SOLVED).all(axis=0).mean()),
    )


def emergence(ours: Sequence[float], members: Mapping[str, Scores]) -> tuple[int, int]:
    """Items that the method solves though no member does, and items that no member solves.

    Args:
        ours: the method's scores f64[n].
        members: each member's scores f64[n] on the same items.
    """
    unsolved = (_stacked(members) < SOLVED).all(axis=0)
    solved = np.asarray(ours) >= SOLVED
    return int((unsolved & solved).sum()), int(unsolved.sum())


def _stacked(members: Mapping[str, Scores]) -> np.ndarray:
    """f64[M, ...] of scores."""
    shapes = {name: np.shape(values) for name, values in members.items()}
    if not shapes or len(set(shapes.values())) > 1 or 0 in next(iter(shapes.values())):
        raise ValueError(f"members need scores on the same items, at least one; shapes: {shapes}")
    return np.array(list(members.values()), np.float64)
