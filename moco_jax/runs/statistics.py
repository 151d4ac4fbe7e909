"""How sure a mean or a difference is: seeded bootstrap intervals, clustered where items are."""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np

CHUNK = 1 << 22
"""Most resampled values held at once."""

FEWEST_DIFFERING = 6
"""With fewer clusters that differ, even unanimous ones, no sign test reaches 5% (2 / 2^6 does)."""


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean and the ends of its 95% interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def clusters(values: np.ndarray, groups: Sequence[str | None]) -> tuple[np.ndarray, np.ndarray]:
    """Sums f64[G] and sizes f64[G] per group; a value without a group is a cluster of its own."""
    places: dict[tuple[str, object], int] = {}
    index = np.array(
        [
            places.setdefault(("item", row) if group is None else ("group", group), len(places))
            for row, group in enumerate(groups)
        ],
        np.int64,
    )
    sums = np.bincount(index, weights=values, minlength=len(places))
    return sums, np.bincount(index, minlength=len(places)).astype(np.float64)


def mean_interval(
    values: Sequence[float],
    groups: Sequence[str | None] | None = None,
    *,
    draws: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of a mean.

    Scores that are all 0 or all 1 leave nothing to resample; there the exact binomial bound over
    the clusters stands in, so that 20 right answers of 20 do not look like certainty.

    Args:
        values: f64[n], one per item.
        groups: the cluster of each item; whole clusters are resampled. None: items stand alone.
        draws: bootstrap resamples.
        level: share of resampled means inside the interval.
        seed: of the resampling.

    Raises:
        ValueError: there are no values, or not one group per value.
    """
    scores, labels = _checked(values, groups)
    sums, sizes = clusters(scores, labels)
    mean = float(scores.mean())
    if np.all(scores == 0.0) or np.all(scores == 1.0):
        width = 1.0 - ((1.0 - level) / 2.0) ** (1.0 / len(sums))
        return Interval(mean, max(mean - width, 0.0), min(mean + width, 1.0))
    return _bootstrap(mean, sums, sizes, draws, level, seed)


def difference_interval(
    ours: Sequence[float],
    theirs: Sequence[float],
    groups: Sequence[str | None] | None = None,
    *,
    draws: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of mean(ours) - mean(theirs), paired item by item.

    Args:
        ours: f64[n].
        theirs: f64[n], for the same items.
        groups: the cluster of each item; None: items stand alone.
        draws: bootstrap resamples.
        level: share of resampled differences inside the interval.
        seed: of the resampling.
    """
    differences = _paired(ours, theirs)
    scores, labels = _checked(differences, groups)
    sums, sizes = clusters(scores, labels)
    return _bootstrap(float(scores.mean()), sums, sizes, draws, level, seed)


def differing_clusters(
    ours: Sequence[float],
    theirs: Sequence[float],
    groups: Sequence[str | None] | None = None,
) -> int:
    """Clusters on which two systems differ; below `FEWEST_DIFFERING` nothing can be claimed."""
    scores, labels = _checked(_paired(ours, theirs), groups)
    sums, _ = clusters(scores, labels)
    return int(np.count_nonzero(sums))


@dataclasses.dataclass(frozen=True)
class McNemar:
    """McNemar's exact test of two systems that are right or wrong on the same items.

    Attributes:
        ours_only: items that only the first solves.
        theirs_only: items that only the second solves.
        p: two-sided probability of a split at least this uneven if both were equally good.
    """

    ours_only: int
    theirs_only: int
    p: float


def mcnemar(ours: Sequence[float], theirs: Sequence[float]) -> McNemar:
    """McNemar's exact test (Psychometrika 1947, doi 10.1007/BF02295996).

    Items have to stand alone; for grouped items or scores between 0 and 1 see `sign_test`.

    Args:
        ours: 0 or 1 per item.
        theirs: 0 or 1 for the same items.

    Raises:
        ValueError: a score is neither 0 nor 1, or the two do not pair.
    """
    differences = _paired(ours, theirs)
    if not np.isin(np.concatenate([ours, theirs]), (0.0, 1.0)).all():
        raise ValueError("McNemar's test needs scores of 0 or 1; use sign_test for others")
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    return McNemar(wins, losses, binomial_two_sided(wins, losses))


def sign_test(
    ours: Sequence[float],
    theirs: Sequence[float],
    groups: Sequence[str | None] | None = None,
) -> float:
    """Two-sided exact sign test over the clusters on which two systems differ.

    With right-or-wrong scores and items that stand alone it is McNemar's exact test.

    Args:
        ours: f64[n].
        theirs: f64[n], for the same items.
        groups: the cluster of each item; None: items stand alone.

    Returns:
        The probability of a split at least this uneven if both were equally good.
    """
    scores, labels = _checked(_paired(ours, theirs), groups)
    sums, _ = clusters(scores, labels)
    return binomial_two_sided(int((sums > 0).sum()), int((sums < 0).sum()))


def binomial_two_sided(wins: int, losses: int) -> float:
    """Probability that a fair coin splits wins + losses tosses at least this unevenly."""
    total, fewer = wins + losses, min(wins, losses)
    tail = sum(math.comb(total, k) for k in range(fewer + 1))
    return min(1.0, 2 * tail / 2**total)


def _checked(
    values: Sequence[float] | np.ndarray, groups: Sequence[str | None] | None
) -> tuple[np.ndarray, Sequence[str | None]]:
    scores = np.asarray(values, np.float64)
    if scores.ndim != 1 or not len(scores):
        raise ValueError(f"an interval needs at least one value in a row, not shape {scores.shape}")
    labels = [None] * len(scores) if groups is None else groups
    if len(labels) != len(scores):
        raise ValueError(f"{len(scores)} values but {len(labels)} groups; pass one group per value")
    return scores, labels


def _paired(ours: Sequence[float], theirs: Sequence[float]) -> np.ndarray:
    if len(ours) != len(theirs):
        raise ValueError(
            f"{len(ours)} and {len(theirs)} values cannot be paired; score both on the same items"
        )
    return np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)


def _bootstrap(
    mean: float, sums: np.ndarray, sizes: np.ndarray, draws: int, level: float, seed: int
) -> Interval:
    means = np.concatenate(list(_resampled(sums, sizes, draws, seed)))
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    # A resampled mean may miss the point estimate by rounding; the interval always holds it.
    return Interval(mean, min(float(low), mean), max(float(high), mean))


def _resampled(sums: np.ndarray, sizes: np.ndarray, draws: int, seed: int) -> Iterator[np.ndarray]:
    """Means of resamples of whole clusters, a bounded number of them at a time."""
    generator = np.random.default_rng(seed)
    count = len(sums)
    rows = max(CHUNK // count, 1)
    for first in range(0, draws, rows):
        picked = generator.integers(count, size=(min(rows, draws - first), count))
        yield sums[picked].sum(axis=1) / sizes[picked].sum(axis=1)
