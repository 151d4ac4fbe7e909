"""Picks how task vectors are merged."""

import functools
from typing import Literal

import jax

from moco_jax.kernels.platforms import TRITON, pick
from moco_jax.kernels.ties_merge import pallas, reference


def ties_merge(
    deltas: jax.Array,
    weights: jax.Array,
    density: float,
    *,
    elect: Literal["sum", "count"] = "sum",
    normalize: bool = True,
) -> jax.Array:
    """Merges task vectors that agree in sign (TIES, arXiv 2306.01708, section 4).

    Each vector keeps its `int(density * size)` numbers of largest magnitude (ties at the boundary
    all stay) and is multiplied by its weight; each parameter gets the sign of the weighted sum (a
    sum of zero counts as positive); the numbers of that sign are added up, and divided by the
    weights of the vectors they came from.

    Args:
        deltas: f32[N, size] task vectors of one checkpoint tensor, flattened.
        weights: f32[N].
        density: share of each vector that is kept, in (0, 1]; a Python number. 1 skips the trim.
        elect: "sum", or "count" for the sign that most of the vectors have.
        normalize: divide by the agreeing weights (the disjoint mean); False leaves the sum.

    Returns:
        f32[size].

    Raises:
        ValueError: density or elect is none of these.
    """
    if not 0 < density <= 1:
        raise ValueError(f"density is {density}: it is the share of numbers kept, in (0, 1]")
    if elect not in ("sum", "count"):
        raise ValueError(f"elect is {elect!r}: signs are elected by 'sum' or 'count'")
    # At least one, so that a small tensor is not silently left out of the merge.
    kept = max(1, int(density * deltas.shape[1]))
    choices = {"kept": kept, "by_count": elect == "count", "normalize": normalize}
    plain = functools.partial(reference.ties, **choices)
    if len(deltas) > pallas.MOST:
        return plain(deltas, weights)
    cuda = functools.partial(pallas.ties, **choices, compiler_params=TRITON)
    return pick(plain, cuda, functools.partial(pallas.ties, **choices), deltas, weights)
