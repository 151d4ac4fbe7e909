"""Picks how the low-rank path is computed."""

import jax

from moco_jax.kernels.low_rank import pallas, reference
from moco_jax.kernels.platforms import pick


def low_rank(x: jax.Array, a: jax.Array, b: jax.Array, rows: jax.Array | None = None) -> jax.Array:
    """x A B, with the factors of each row's own adapter.

    Args:
        x: [B, S, in].
        a: [N, in, r], one per adapter.
        b: [N, r, out]; the adapters' scales are folded in.
        rows: i32[B] the adapter of each row; None where the rows are N equal shares in the order
            of the adapters, which reads every factor once and multiplies nothing in vain.

    Returns:
        [B, S, out] in the dtype of `x`.
    """
    if rows is None:
        return reference.low_rank_shares(x, a, b)
    if x.shape[1] > 1:
        # Many tokens a row are bound by arithmetic, not by reading factors.
        return reference.low_rank_rows(x, a, b, rows)
    return pick(reference.low_rank_rows, pallas.low_rank_cuda, pallas.low_rank_tpu, x, a, b, rows)
