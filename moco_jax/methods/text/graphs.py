"""Who reads whom: communication graphs, and graphs decoded from strengths of edges.

A graph is written as what every member reads: member indices in order, per member.
"""

import graphlib
import itertools
from collections.abc import Callable, Iterable, Sequence

import numpy as np

Reads = tuple[tuple[int, ...], ...]
Pair = tuple[int, int]

FAINT = 1e-3
"""Strengths below it are alike when the end of a graph is drawn, so that none is divided by 0."""
LARGE = 1e6
"""Strengths beyond it are alike, so that sums of them stay finite."""


def _chain(size: int) -> Iterable[Pair]:
    return itertools.pairwise(range(size))


def _tree(size: int) -> Iterable[Pair]:
    return [((child - 1) // 2, child) for child in range(1, size)]


def _spokes(size: int) -> Iterable[Pair]:
    return [(0, rim) for rim in range(1, size)]


def _ring(nodes: Sequence[int]) -> Iterable[Pair]:
    return zip(nodes, [*nodes[1:], *nodes[:1]], strict=True)


def _wheel(size: int) -> Iterable[Pair]:
    return [*_spokes(size), *_ring(range(1, size))]


TOPOLOGIES: dict[str, Callable[[int], Iterable[Pair]]] = {
    "chain": _chain,
    "tree": _tree,
    "star": _wheel,
    "star_pure": _spokes,
    "circle": lambda size: _ring(range(size)),
    "complete": lambda size: itertools.combinations(range(size), 2),
}
"""Pairs that read each other, by the number of members (arXiv 2410.15686). "tree" is a binary heap;
"star" joins its rim to a ring, as the reference does, "star_pure" does not."""


def topology(kind: str, size: int) -> Reads:
    """Who reads whom in a graph of `TOPOLOGIES`; in the smallest ones nobody reads itself."""
    reads: list[set[int]] = [set() for _ in range(size)]
    for one, other in TOPOLOGIES[kind](size):
        if one != other:
            reads[one].add(other)
            reads[other].add(one)
    return tuple(tuple(sorted(sources)) for sources in reads)


def of_matrix(matrix: Sequence[Sequence[float]]) -> Reads:
    """Who reads whom where `matrix[i][j]` other than 0 lets j read i; the diagonal is ignored."""
    size = range(len(matrix))
    return tuple(tuple(i for i in size if matrix[i][j] and i != j) for j in size)


def edges(reads: Reads) -> list[list[int]]:
    """All [from, to], in order of the readers."""
    return [[source, reader] for reader, sources in enumerate(reads) for source in sources]


def levels(reads: Reads) -> list[list[int]]:
    """Members in topological order: each level reads only from levels before it.

    Raises:
        graphlib.CycleError: there is no such order.
    """
    sorter = graphlib.TopologicalSorter(dict(enumerate(reads)))
    sorter.prepare()
    found = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        sorter.done(*ready)
        found.append(ready)
    return found


def decode(strengths: np.ndarray, top_p: float, rng: np.random.Generator) -> tuple[Reads, int]:
    """Draws a graph in which every member leads to one end (arXiv 2502.04510, G-decode).

    Members whose edges are weak tend to be the end; then one after another, the strongest first, a
    member sends what it says to one of those that are in the graph already.

    Args:
        strengths: f[N, N], of the edge from row to column; 0 is no edge, the diagonal is ignored.
        top_p: see `top_p_shares`.
        rng: of the draws.

    Returns:
        who reads whom, and the end.
    """
    size = len(strengths)
    bounded = np.clip(np.nan_to_num(np.array(strengths, float)), -LARGE, LARGE)
    np.fill_diagonal(bounded, 0.0)
    totals = bounded.sum(1)
    end = _draw(1 / np.maximum(totals, FAINT), top_p, rng)
    reads: list[list[int]] = [[] for _ in range(size)]
    inside, outside = [end], [node for node in range(size) if node != end]
    while outside:
        sender = outside.pop(_draw(totals[outside], top_p, rng))
        to = bounded[sender, inside]
        reads[inside[_draw(np.where(to == 0, -np.inf, to), top_p, rng)]].append(sender)
        inside = sorted([*inside, sender])
    return tuple(tuple(sorted(sources)) for sources in reads), end


def top_p_shares(scores: np.ndarray, top_p: float) -> np.ndarray:
    """The probabilities f64[K] with which the reference draws among K scores.

    The softmax, cut to the most likely until they exceed `top_p`, goes through a second softmax,
    which brings those that are left closer to each other.

    Args:
        scores: f[K]; minus infinity is never drawn unless all are.
        top_p: 0 keeps the first of the most likely only, 1 keeps all.
    """
    shares = _softmax(scores)
    order = np.argsort(-shares, kind="stable")
    kept = order[: 1 + np.searchsorted(np.cumsum(shares[order]), top_p, side="right")]
    kept = kept[np.isfinite(scores[kept])] if np.isfinite(scores).any() else kept
    found = np.zeros(len(scores))
    found[kept] = _softmax(shares[kept])
    return found


def _draw(scores: np.ndarray, top_p: float, rng: np.random.Generator) -> int:
    return int(rng.choice(len(scores), p=top_p_shares(scores, top_p)))


def _softmax(scores: np.ndarray) -> np.ndarray:
    top = scores.max()
    weights = np.exp(scores - top) if np.isfinite(top) else np.ones(len(scores))
    return weights / weights.sum()
