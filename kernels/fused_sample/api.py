"""Picks how combined logits are drawn from."""

import functools

import jax

from moco_jax.kernels.fused_sample import pallas, reference
from moco_jax.kernels.fused_sample.settings import Filters, Knobs
from moco_jax.kernels.platforms import TRITON, pick


def fused_sample(
    filters: Filters, knobs: Knobs, keys: jax.Array, logits: jax.Array, weights: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Combines members' logits, filters, and draws one token per row.

    Tokens follow the same distribution on every platform; which token one key gives may differ.

    Args:
        filters: which steps apply; without a repetition penalty.
        knobs: their values.
        keys: one key per row, [B].
        logits: f32[M, B, V].
        weights: f32[B, M] each row's weight of each member's logits.

    Returns:
        i32[B] tokens, and f32[B] their log-probabilities under the combined logits at temperature
        1, unfiltered.

    Raises:
        ValueError: there is a repetition penalty, which needs each row's history.
    """
    if filters.penalty:
        raise ValueError(
            "a repetition penalty needs each row's tokens, which the fused draw does not see; "
            "combine the logits, penalise them and call `sample`"
        )
    plain = functools.partial(reference.fused_sample, filters)
    numbers = reference.uniforms(keys)
    if len(logits) > pallas.MOST:
        return plain(knobs, numbers, logits, weights)
    cuda = functools.partial(pallas.fused_sample, filters, compiler_params=TRITON)
    tpu = functools.partial(pallas.fused_sample, filters)
    return pick(plain, cuda, tpu, knobs, numbers, logits, weights)
