"""TIES in plain jnp: N task vectors of `size` numbers."""

import functools
from collections.abc import Iterable

import jax
import jax.numpy as jnp

from moco_jax.kernels.selection import BITS, count_reaching, magnitude_bits, radix_select


def thresholds(deltas: jax.Array, kept: int) -> jax.Array:
    """i32[N] bit patterns of the `kept`-th largest magnitude of each of deltas f32[N, size]."""
    patterns = magnitude_bits(deltas)
    return radix_select(lambda t: count_reaching(patterns, t), kept, len(deltas), BITS)


def elect_and_mean(
    deltas: jax.Array,
    weights: jax.Array,
    bounds: jax.Array | None,
    by_count: bool,
    normalize: bool,
) -> jax.Array:
    """The merged task vector, from magnitudes that reach their bounds.

    Args:
        deltas: f32[N, ...].
        weights: [N] of numbers that broadcast against a delta.
        bounds: [N] of bit patterns, likewise; None keeps everything.
        by_count: elect the sign of most vectors rather than of the weighted sum.
        normalize: divide by the weights of the vectors that agree.

    Returns:
        f32[...].
    """
    # A list over N, which is small: everything below is one element-wise pass.
    parts = [deltas[index] for index in range(len(deltas))]
    if bounds is not None:
        parts = [
            jnp.where(magnitude_bits(part) >= bounds[index], part, 0)
            for index, part in enumerate(parts)
        ]
    parts = [part * weights[index] for index, part in enumerate(parts)]
    votes = _add(_signs(part) if by_count else part for part in parts)
    agrees = [jnp.where(votes >= 0, part > 0, part < 0) for part in parts]
    total = _add(jnp.where(agree, part, 0) for agree, part in zip(agrees, parts, strict=True))
    if not normalize:
        return total
    mass = _add(jnp.where(agree, weights[index], 0) for index, agree in enumerate(agrees))
    return total / jnp.where(jnp.abs(mass) < 1e-8, 1, mass)


def _add(values: Iterable[jax.Array]) -> jax.Array:
    return functools.reduce(jnp.add, values)


def _signs(values: jax.Array) -> jax.Array:
    return (values > 0).astype(values.dtype) - (values < 0).astype(values.dtype)


def ties(
    deltas: jax.Array, weights: jax.Array, kept: int, by_count: bool, normalize: bool
) -> jax.Array:
    """`ties_merge` of deltas f32[N, size] where each keeps its `kept` largest numbers."""
    bounds = None if kept == deltas.shape[1] else thresholds(deltas, kept)
    return elect_and_mean(deltas, weights, bounds, by_count, normalize)
