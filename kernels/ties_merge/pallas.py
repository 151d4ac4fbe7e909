"""TIES on accelerators: a counting kernel per pass of the search, then one fused merge.

Both walk over the task vectors in tiles of ROWS x 128 numbers, so that every tile is a program of
its own; vectors are filled up with zeros, which are never counted and never agree with a sign.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

from moco_jax.kernels.selection import magnitude_bits, radix_select
from moco_jax.kernels.ties_merge.reference import elect_and_mean

LANES = 128
MOST = LANES
"""Task vectors whose thresholds and weights fit into one line."""
ROWS = 32
BITS = 4
"""Fixed per pass: a pass reads every number once, and counts cost little beside that."""


def _count_kernel(candidates_ref: Any, deltas_ref: Any, counts_ref: Any) -> None:
    """How many numbers of a tile reach each candidate; all i32."""
    patterns = magnitude_bits(deltas_ref[...])
    candidates = candidates_ref[...]
    lane = jax.lax.broadcasted_iota(jnp.int32, candidates.shape, 1)
    counts = jnp.zeros(candidates.shape, jnp.int32)
    for index in range(candidates.shape[1]):
        # Vectors have no scalar access on TPUs: pick by a masked sum.
        candidate = jnp.sum(jnp.where(lane == index, candidates, 0))
        count = jnp.sum((patterns >= candidate).astype(jnp.int32))
        counts = jnp.where(lane == index, count, counts)
    counts_ref[...] = counts


def _merge_kernel(
    bounds_ref: Any, weights_ref: Any, deltas_ref: Any, merged_ref: Any, by_count: bool, mean: bool
) -> None:
    """Elects signs and averages one tile of all vectors."""
    bounds, weights = bounds_ref[...], weights_ref[...]
    deltas = [deltas_ref[index] for index in range(deltas_ref.shape[0])]
    place = jax.lax.broadcasted_iota(jnp.int32, bounds.shape, 1)
    own_bounds = [jnp.sum(jnp.where(place == index, bounds, 0)) for index in range(len(deltas))]
    own_weights = [jnp.sum(jnp.where(place == index, weights, 0)) for index in range(len(deltas))]
    merged_ref[...] = elect_and_mean(deltas, own_weights, own_bounds, by_count, mean)


def ties(
    deltas: jax.Array,
    weights: jax.Array,
    kept: int,
    by_count: bool,
    normalize: bool,
    **options: Any,
) -> jax.Array:
    """`reference.ties` as two kernels.

    Args:
        deltas: f32[N, size], N at most `MOST`.
        weights: f32[N].
        kept: numbers each vector keeps.
        by_count: elect by count.
        normalize: take the disjoint mean.
        **options: `interpret` and `compiler_params` of `pallas_call`.

    Returns:
        f32[size].
    """
    total, size = deltas.shape
    tiles = -(-size // (ROWS * LANES))
    padded = jnp.pad(deltas, ((0, 0), (0, tiles * ROWS * LANES - size)))
    padded = padded.reshape(total, tiles * ROWS, LANES)

    def count(candidates: jax.Array) -> jax.Array:
        wide = jnp.pad(candidates, ((0, 0), (0, 1)))[:, None]
        counts = pl.pallas_call(
            _count_kernel,
            grid=(total, tiles),
            in_specs=[
                pl.BlockSpec((None, 1, 2**BITS), lambda n, i: (n, 0, 0)),
                pl.BlockSpec((None, ROWS, LANES), lambda n, i: (n, i, 0)),
            ],
            out_specs=pl.BlockSpec((None, None, 1, 2**BITS), lambda n, i: (n, i, 0, 0)),
            out_shape=jax.ShapeDtypeStruct((total, tiles, 1, 2**BITS), jnp.int32),
            **options,
        )(wide, padded)
        return jnp.sum(counts[:, :, 0, :-1], 1)

    bounds = jnp.zeros(total, jnp.int32)
    if kept < size:
        bounds = radix_select(count, kept, total, BITS)
    merged = pl.pallas_call(
        functools.partial(_merge_kernel, by_count=by_count, mean=normalize),
        grid=(tiles,),
        in_specs=[
            pl.BlockSpec((1, LANES), lambda i: (0, 0)),
            pl.BlockSpec((1, LANES), lambda i: (0, 0)),
            pl.BlockSpec((total, ROWS, LANES), lambda i: (0, i, 0)),
        ],
        out_specs=pl.BlockSpec((ROWS, LANES), lambda i: (i, 0)),
        out_shape=jax.ShapeDtypeStruct(padded.shape[1:], jnp.float32),
        **options,
    )(_lanes(bounds), _lanes(weights), padded)
    return merged.reshape(-1)[:size]


def _lanes(values: jax.Array) -> jax.Array:
    """[N] as [1, 128]."""
    return jnp.pad(values, (0, LANES - len(values)))[None]
