"""The k-th largest of many values without sorting them.

Non-negative floats order like their bit patterns, so the answer is built from its highest bits
down: each pass counts how many values reach each of a few candidates, and fixes that many bits. On
CPU a sort (or `top_k`) of a large vector costs hundreds of such passes.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

FINITE = 0x7FFFFFFF
"""Above every bit pattern of a non-negative number."""


BITS = 3
"""Fixed per pass by the jnp forms: the fewest seconds on CPU."""


def magnitude_bits(values: jax.Array) -> jax.Array:
    """i32 bit patterns of |values| f32, which order like the magnitudes."""
    return jax.lax.bitcast_convert_type(values, jnp.int32) & FINITE


def radix_select(
    count: Callable[[jax.Array], jax.Array], k: jax.Array | int, rows: int, bits: int
) -> jax.Array:
    """The bit pattern of the k-th largest value of every row.

    Args:
        count: `i32[B, T] -> i32[B, T]` with T = 2**bits - 1: how many of a row's values reach each
            of its candidates.
        k: from 1 to the number of values; a scalar or i32[B].
        rows: B.
        bits: fixed per pass; `ceil(31 / bits)` passes.

    Returns:
        i32[B], the largest pattern that at least k values reach.
    """
    steps = jnp.arange(1, 2**bits, dtype=jnp.uint32)
    wanted = jnp.broadcast_to(jnp.asarray(k, jnp.int32), (rows,))[:, None]
    passes = -(-31 // bits)

    def fix(index: jax.Array, found: jax.Array) -> jax.Array:
        shift = (bits * (passes - 1 - index)).astype(jnp.uint32)
        added = steps << shift
        # The first pass may step past 32 bits.
        fits = (added >> shift) == steps
        candidates = jnp.where(fits, jnp.minimum(found[:, None] + added, FINITE), FINITE)
        holds = count(candidates.astype(jnp.int32)) >= wanted
        return found + (jnp.sum(holds, -1).astype(jnp.uint32) << shift)

    found = jax.lax.fori_loop(0, passes, fix, jnp.zeros(rows, jnp.uint32))
    return found.astype(jnp.int32)


def count_reaching(patterns: jax.Array, candidates: jax.Array) -> jax.Array:
    """How many of patterns i32[B, n] reach each of candidates i32[B, T]; i32[B, T].

    One reduction with T results: XLA:CPU vectorises it, and not the T reductions apart.
    """
    total = candidates.shape[1]
    reached = tuple(
        (patterns >= candidates[:, index, None]).astype(jnp.int32) for index in range(total)
    )

    def add(left: tuple[jax.Array, ...], right: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        return tuple(a + b for a, b in zip(left, right, strict=True))

    return jnp.stack(jax.lax.reduce(reached, (jnp.int32(0),) * total, add, (1,)), 1)


def kth_largest(values: jax.Array, k: jax.Array | int) -> jax.Array:
    """The k-th largest of each row's non-negative values.

    Args:
        values: f32[B, n], none negative.
        k: a scalar or i32[B], from 1 to n.

    Returns:
        f32[B].
    """
    patterns = magnitude_bits(values)
    found = radix_select(lambda t: count_reaching(patterns, t), k, len(values), BITS)
    return jax.lax.bitcast_convert_type(found, jnp.float32)
