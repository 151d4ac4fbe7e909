"""From several members' logits to one token a row, in plain jnp.

Two ways lead to the same distribution. Filters mostly keep a handful of tokens: then the answer is
found among the most likely ones, and the vocabulary is only read for their selection. A row whose
filters keep more is drawn from the whole vocabulary; which way a row takes depends on it alone.
"""

import functools

import jax
import jax.numpy as jnp

from moco_jax.kernels.fused_sample.blocks import (
    argmax,
    in_blocks,
    inverse_cdf,
    largest,
    take_blocks,
)
from moco_jax.kernels.fused_sample.bounds import least_kept
from moco_jax.kernels.fused_sample.settings import Filters, Knobs

CANDIDATES = 128
"""Most likely tokens that are looked at first."""

BLOCK = 128
"""Tokens a block when the whole vocabulary is drawn from; divides the size of most, and padding
copies."""


def uniforms(keys: jax.Array) -> jax.Array:
    """Two numbers in [0, 1) for each of keys [B]; f32[B, 2]."""
    return jax.vmap(lambda key: jax.random.uniform(key, (2,)))(keys)


def draw_among_all(
    logits: jax.Array, bound: jax.Array, temperature: jax.Array | float, u: jax.Array
) -> jax.Array:
    """Draws from the whole vocabulary: first a block of it, then a token of the block.

    Args:
        logits: f32[B, V].
        bound: f32[B, 1]; lower logits are never drawn.
        temperature: divides the logits.
        u: f32[B, 2].

    Returns:
        i32[B].
    """
    top = jnp.max(logits, -1, keepdims=True)

    def weigh(part: jax.Array, least: jax.Array, most: jax.Array) -> jax.Array:
        return jnp.where(part >= least, jnp.exp((part - most) / temperature), 0)

    sums = jnp.sum(in_blocks(weigh(logits, bound, top), BLOCK, 0), -1)
    block = inverse_cdf(sums, u[:, 0])
    inside = take_blocks(logits, block[:, None], BLOCK, -jnp.inf)[:, 0]
    # Relative to the block's own maximum, so that its weights cannot all vanish.
    weights = weigh(inside, bound, jnp.max(inside, -1, keepdims=True))
    return block * BLOCK + inverse_cdf(weights, u[:, 1])


def draw_among_candidates(
    filters: Filters, knobs: Knobs, logits: jax.Array, u: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Draws from the most likely tokens.

    Args:
        filters: which apply; at least one.
        knobs: their values.
        logits: f32[B, V].
        u: f32[B, 2].

    Returns:
        i32[B] tokens, and bool[B] whether everything the filters keep was among the candidates;
        tokens of other rows mean nothing.
    """
    size = logits.shape[1]
    count = min(CANDIDATES, size)
    found, index = largest(logits, count)
    weights = jnp.exp((found - found[:, :1]) / knobs.temperature)
    kept = jnp.ones(weights.shape, bool)
    if filters.top_k:
        kept = weights >= weights[:, jnp.clip(knobs.top_k, 1, count) - 1, None]
    if filters.top_p:
        left = jnp.where(kept, weights, 0)
        before = jnp.pad(jnp.cumsum(left, -1), ((0, 0), (1, 0)))
        total = before[:, -1]
        if not filters.top_k:
            total = jnp.sum(jnp.exp((logits - found[:, :1]) / knobs.temperature), -1)
        needed = jnp.sum(before[:, :-1] < knobs.top_p * total[:, None], -1, keepdims=True)
        kept &= weights >= jnp.take_along_axis(weights, jnp.maximum(needed, 1) - 1, 1)
    if filters.min_p:
        kept &= weights >= knobs.min_p
    place = inverse_cdf(jnp.where(kept, weights, 0), u[:, 0])
    token = jnp.take_along_axis(index, place[:, None], 1)[:, 0]
    settled = jnp.ones(len(logits), bool) if count == size else ~kept[:, -1]
    return token.astype(jnp.int32), settled


def sample(filters: Filters, knobs: Knobs, u: jax.Array, logits: jax.Array) -> jax.Array:
    """Draws one token per row.

    Args:
        filters: which steps apply; a penalty is not among them here.
        knobs: their values.
        u: f32[B, 2] of `uniforms`.
        logits: f32[B, V].

    Returns:
        i32[B].
    """
    if filters.greedy:
        return argmax(logits)
    if not filters.any:
        return draw_among_all(logits, jnp.full((len(logits), 1), -jnp.inf), knobs.temperature, u)
    token, settled = draw_among_candidates(filters, knobs, logits, u)
    if logits.shape[1] <= CANDIDATES:
        return token
    unsettled = jnp.argsort(settled)

    def draw_row(index: jax.Array, token: jax.Array) -> jax.Array:
        # One row after the other: few rows come here, and a row alone stays in the CPU's caches.
        row = unsettled[index]
        scores, numbers = logits[row][None], u[row][None]
        bound = least_kept(filters, knobs, scores)
        drawn = draw_among_all(scores, bound, knobs.temperature, numbers)
        return token.at[row].set(drawn[0])

    return jax.lax.fori_loop(0, jnp.sum(~settled), draw_row, token)


def mix(weights: jax.Array, logits: jax.Array) -> jax.Array:
    """Sum of logits f32[M, B, V] by weights f32[B, M]; f32[B, V].

    Written out over the members: as a matrix product or a reduction XLA:CPU takes ten times longer.
    """
    parts = [weights[:, index, None] * logits[index] for index in range(len(logits))]
    return functools.reduce(jnp.add, parts)


def token_logprob(logits: jax.Array, token: jax.Array) -> jax.Array:
    """Log-probability f32[B] of token i32[B] under logits f32[B, V], at temperature 1."""
    chosen = jnp.take_along_axis(logits, token[:, None], 1)[:, 0]
    return chosen - jax.nn.logsumexp(logits, -1)


def fused_sample(
    filters: Filters, knobs: Knobs, u: jax.Array, logits: jax.Array, weights: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Combines logits f32[M, B, V] by weights f32[B, M], draws by u f32[B, 2]; i32[B], f32[B]."""
    mixed = mix(weights, logits)
    token = sample(filters, knobs, u, mixed)
    return token, token_logprob(mixed, token)
