"""Exact k-th largest magnitudes of a tensor that is read in pieces.

A sample brackets the answer; one pass over the pieces counts what lies above the bracket and keeps
what lies within. A bracket that missed is widened. This is host work: numpy outruns a compiled
bisection here, since it reads everything once instead of once per bit.
"""

import concurrent.futures
import os
from collections.abc import Callable, Sequence

import numpy as np

Magnitudes = Callable[[int, int], np.ndarray]
"""`(start, stop) -> f32[N, stop - start]`, called from several threads."""

PIECE = 1 << 16
"""Elements a thread holds at once: they stay in its cache."""

_SAMPLE = 1 << 16
_CHUNK = 1 << 10
_MARGIN = 0.01
"""Share of the elements on either side of the sample's answer: several standard errors."""


def largest_magnitudes(read: Magnitudes, size: int, ranks: Sequence[int]) -> np.ndarray:
    """The magnitudes of the given ranks (1 is the largest), f32[N, K].

    Args:
        read: gives magnitudes.
        size: elements per row.
        ranks: K of them, from 1 to `size`.
    """
    if not ranks:
        return np.zeros((len(read(0, 1)), 0), np.float32)
    if size <= 2 * _SAMPLE:
        return _of_all(read(0, size), ranks)
    sample = np.sort(_sample(read, size), axis=1)
    return np.stack([_of_rank(read, size, rank, sample) for rank in ranks], axis=1)


def _of_all(values: np.ndarray, ranks: Sequence[int]) -> np.ndarray:
    places = [values.shape[1] - rank for rank in ranks]
    return np.partition(values, sorted(places), axis=1)[:, places]


def _sample(read: Magnitudes, size: int) -> np.ndarray:
    """Evenly spread chunks, f32[N, _SAMPLE]."""
    starts = np.linspace(0, size - _CHUNK, _SAMPLE // _CHUNK).astype(int)
    return np.concatenate([read(start, start + _CHUNK) for start in starts.tolist()], axis=1)


def _of_rank(read: Magnitudes, size: int, rank: int, sample: np.ndarray) -> np.ndarray:
    count, drawn = sample.shape
    middle = (1 - rank / size) * drawn
    margin = _MARGIN
    while True:
        low, high = int(middle - margin * drawn), int(middle + margin * drawn)
        # Open ends take in what the sample did not see
        lows = sample[:, low] if low > 0 else np.zeros(count, np.float32)
        highs = sample[:, high] if high < drawn else np.full(count, np.inf, np.float32)
        above, within = _between(read, size, lows, highs)
        places = rank - 1 - above
        sizes = np.array([len(values) for values in within])
        if np.all((places >= 0) & (places < sizes)):
            return np.array(
                [
                    np.partition(values, len(values) - 1 - place)[len(values) - 1 - place]
                    for values, place in zip(within, places, strict=True)
                ]
            )
        margin *= 4


def _between(
    read: Magnitudes, size: int, lows: np.ndarray, highs: np.ndarray
) -> tuple[np.ndarray, list[np.ndarray]]:
    """(how many lie above `highs`, those from `lows` to `highs`) per row."""

    def search(start: int) -> tuple[list[int], list[np.ndarray]]:
        values = read(start, min(size, start + PIECE))
        above, within = [], []
        for row, low, high in zip(values, lows, highs, strict=True):
            beyond = row > high
            # Few are picked: finding their places first is several times faster than a mask
            places = np.flatnonzero(np.logical_xor(row >= low, beyond))
            above.append(int(np.count_nonzero(beyond)))
            within.append(row[places])
        return above, within

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        found = list(threads.map(search, range(0, size, PIECE)))
    above = np.sum([counts for counts, _ in found], axis=0)
    return above, [np.concatenate(rows) for rows in zip(*(w for _, w in found), strict=True)]
