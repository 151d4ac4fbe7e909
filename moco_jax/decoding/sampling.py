"""From logits to a token: filters by threshold search, and one draw per row.

No filter sorts the vocabulary. Each keeps the tokens whose probability reaches a threshold, and the
threshold is found by bisection over the bit patterns of non-negative floats, which order like the
floats themselves: 31 halvings give the exact value. Tokens that tie at the threshold all stay.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from moco_jax.decoding.types import Sampling


@dataclasses.dataclass(frozen=True)
class Filters:
    """Which steps of sampling a program contains; static, so that unused ones cost nothing."""

    greedy: bool
    top_k: bool
    top_p: bool
    min_p: bool
    penalty: bool

    @classmethod
    def of(cls, sampling: Sampling) -> "Filters":
        """The filters that `sampling` switches on."""
        draws = not sampling.greedy
        return cls(
            greedy=sampling.greedy,
            top_k=draws and sampling.top_k > 0,
            top_p=draws and sampling.top_p < 1,
            min_p=draws and sampling.min_p > 0,
            penalty=sampling.repetition_penalty != 1,
        )


class Knobs(NamedTuple):
    """The values of the filters, scalars; changing one compiles nothing."""

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    penalty: float

    @classmethod
    def of(cls, sampling: Sampling) -> "Knobs":
        """The values in `sampling`."""
        return cls(
            sampling.temperature,
            sampling.top_k,
            sampling.top_p,
            sampling.min_p,
            sampling.repetition_penalty,
        )


def largest_threshold(holds: Callable[[jax.Array], jax.Array], rows: int) -> jax.Array:
    """The largest t in [0, 1] for which `holds(t)` is true, per row.

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


def keep_top_k(probs: jax.Array, k: jax.Array | int) -> jax.Array:
    """Zeroes all but the k most likely tokens (and their ties) of probs f32[B, V]."""
    threshold = largest_threshold(lambda t: jnp.sum(probs >= t, -1) >= k, probs.shape[0])
    return jnp.where(probs >= threshold, probs, 0)


def keep_top_p(probs: jax.Array, p: jax.Array | float) -> jax.Array:
    """Zeroes all but the smallest set of most likely tokens whose share of the mass reaches p."""
    wanted = p * jnp.sum(probs, -1)

    def reaches(t: jax.Array) -> jax.Array:
        return jnp.sum(jnp.where(probs >= t, probs, 0), -1) >= wanted

    return jnp.where(probs >= largest_threshold(reaches, probs.shape[0]), probs, 0)


def keep_min_p(probs: jax.Array, share: jax.Array | float) -> jax.Array:
    """Zeroes tokens less likely than `share` of the most likely one (arXiv 2407.01082)."""
    return jnp.where(probs >= share * jnp.max(probs, -1, keepdims=True), probs, 0)


def penalise(logits: jax.Array, seen: jax.Array, penalty: jax.Array | float) -> jax.Array:
    """Lowers the logits f32[B, V] of tokens in seen bool[B, V] (arXiv 1909.05858, section 4.1)."""
    lowered = jnp.where(logits > 0, logits / penalty, logits * penalty)
    return jnp.where(seen, lowered, logits)


def draw(
    filters: Filters, knobs: Knobs, keys: jax.Array, logits: jax.Array, seen: jax.Array | None
) -> jax.Array:
    """Draws one token per row.

    Args:
        filters: which steps apply.
        knobs: their values.
        keys: one key per row, [B].
        logits: f32[B, V].
        seen: bool[B, V] tokens of prompt and answer; None unless there is a penalty.

    Returns:
        i32[B].
    """
    if filters.penalty and seen is not None:
        logits = penalise(logits, seen, knobs.penalty)
    if filters.greedy:
        return jnp.argmax(logits, -1).astype(jnp.int32)
    scaled = logits / knobs.temperature
    if filters.top_k or filters.top_p or filters.min_p:
        probs = jax.nn.softmax(scaled)
        if filters.top_k:
            probs = keep_top_k(probs, knobs.top_k)
        if filters.top_p:
            probs = keep_top_p(probs, knobs.top_p)
        if filters.min_p:
            probs = keep_min_p(probs, knobs.min_p)
        scaled = jnp.where(probs > 0, scaled, -jnp.inf)
    return jax.vmap(jax.random.categorical)(keys, scaled).astype(jnp.int32)
