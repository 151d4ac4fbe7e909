"""Where a filter cuts: the least logit that it keeps, searched over the whole vocabulary.

Nothing is sorted. A filter keeps the tokens whose probability reaches a threshold, and tokens that
tie at the threshold all stay.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from moco_jax.kernels.fused_sample.settings import Filters, Knobs
from moco_jax.kernels.selection import kth_largest


def largest_threshold(holds: Callable[[jax.Array], jax.Array], rows: int) -> jax.Array:
    """The largest t in [0, 1] for which `holds(t)` is true, per row.

    Non-negative floats order like their bit patterns: 31 halvings of those give the exact value.

    Args:
        holds: `f32[B, 1] -> bool[B]`, true at 0 and monotone: once false, false for all larger t.
        rows: B.

    Returns:
        f32[B, 1].
    """
    one = jax.lax.bitcast_convert_type(jnp.float32(1), jnp.int32)

    def halve(_, bounds):
        low, high = bounds
        middle = low + (high - low) // 2
        fits = holds(jax.lax.bitcast_convert_type(middle, jnp.float32)[:, None])
        return jnp.where(fits, middle, low), jnp.where(fits, high, middle)

    bounds = jnp.zeros(rows, jnp.int32), jnp.full(rows, one + 1)
    low, _ = jax.lax.fori_loop(0, 31, halve, bounds)
    return jax.lax.bitcast_convert_type(low, jnp.float32)[:, None]


def top_k_threshold(weights: jax.Array, k: jax.Array | int) -> jax.Array:
    """f32[B, 1] the k-th largest of weights f32[B, V]; 0 where there are fewer than k."""
    return kth_largest(weights, k)[:, None]


def top_p_threshold(weights: jax.Array, p: jax.Array | float) -> jax.Array:
    """f32[B, 1] the largest t such that the weights f32[B, V] >= t reach the share p of all."""
    wanted = p * jnp.sum(weights, -1)

    def reaches(t: jax.Array) -> jax.Array:
        return jnp.sum(jnp.where(weights >= t, weights, 0), -1) >= wanted

    return largest_threshold(reaches, len(weights))


def least_kept(filters: Filters, knobs: Knobs, logits: jax.Array) -> jax.Array:
    """The least logit that all filters keep.

    Args:
        filters: which of them apply; in the order top-k, top-p, min-p.
        knobs: their values, and the temperature.
        logits: f32[B, V].

    Returns:
        f32[B, 1].
    """
    weights = jnp.exp((logits - jnp.max(logits, -1, keepdims=True)) / knobs.temperature)
    threshold = jnp.zeros((len(logits), 1))
    if filters.top_k:
        threshold = top_k_threshold(weights, knobs.top_k)
    if filters.top_p:
        left = jnp.where(weights >= threshold, weights, 0)
        threshold = jnp.maximum(threshold, top_p_threshold(left, knobs.top_p))
    if filters.min_p:
        # The most likely token has weight 1 (arXiv 2407.01082).
        threshold = jnp.maximum(threshold, knobs.min_p)
    return jnp.min(jnp.where(weights >= threshold, logits, jnp.inf), -1, keepdims=True)
