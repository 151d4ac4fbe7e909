"""From logits to a token: a penalty for what was said, filters, and one draw per row.

The filters and the draw are a kernel's (`moco_jax.kernels.fused_sample`): they sort nothing of the
vocabulary's size and need two random numbers a row, not one a token.
"""

import jax
import jax.numpy as jnp

from moco_jax.kernels.fused_sample import Filters, Knobs, argmax, sample, token_logprob, uniforms

__all__ = ["Filters", "Knobs", "draw", "penalise", "token_logprob"]


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
        keys: one key per row, [B]; unused when greedy.
        logits: f32[B, V].
        seen: bool[B, V] tokens of prompt and answer; None unless there is a penalty.

    Returns:
        i32[B].
    """
    if filters.penalty and seen is not None:
        logits = penalise(logits, seen, knobs.penalty)
    if filters.greedy:
        return argmax(logits)
    return sample(filters, knobs, uniforms(keys), logits)
