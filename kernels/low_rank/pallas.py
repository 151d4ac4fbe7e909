"""The low-rank path of one token a row, reading only the factors of the rows' own adapters.

The gathered product of Punica (arXiv 2310.18547), once per factor: y[b] = x[b] W[rows[b]].
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu, triton

from moco_jax.kernels.platforms import TRITON

CHUNK = 128
"""Inputs a GPU program multiplies at a time."""

WIDTH = 256
"""Most outputs of one program."""


def _tpu_kernel(rows_ref: Any, x_ref: Any, w_ref: Any, y_ref: Any) -> None:
    """One row's [1, in] times a block [in, out] of its adapter's factor."""
    del rows_ref  # the index maps have used it
    product = jnp.dot(x_ref[...], w_ref[...], preferred_element_type=jnp.float32)
    y_ref[...] = product.astype(y_ref.dtype)


def product_tpu(x: jax.Array, w: jax.Array, rows: jax.Array, **options: Any) -> jax.Array:
    """x[b] W[rows[b]] with the rows as prefetched scalars: the pipeline fetches blocks by them.

    Args:
        x: [B, in].
        w: [N, in, out].
        rows: i32[B].
        **options: `interpret` of `pallas_call`.

    Returns:
        [B, out].
    """
    (total, wide), out = x.shape, w.shape[2]
    width = WIDTH if out % WIDTH == 0 else out
    return pl.pallas_call(
        _tpu_kernel,
        grid_spec=tpu.PrefetchScalarGridSpec(
            num_scalar_prefetch=1,
            grid=(total, out // width),
            in_specs=[
                pl.BlockSpec((None, 1, wide), lambda b, j, rows: (b, 0, 0)),
                pl.BlockSpec((None, wide, width), lambda b, j, rows: (rows[b], 0, j)),
            ],
            out_specs=pl.BlockSpec((None, 1, width), lambda b, j, rows: (b, 0, j)),
        ),
        out_shape=jax.ShapeDtypeStruct((total, 1, out), x.dtype),
        **options,
    )(rows, x[:, None], w)[:, 0]


def _cuda_kernel(rows_ref: Any, x_ref: Any, w_ref: Any, y_ref: Any) -> None:
    """One row times a block of columns of its adapter's factor, CHUNK inputs at a time."""
    width = y_ref.shape[0]
    wide, out = w_ref.shape[1:]
    adapter = rows_ref[0]
    first = pl.program_id(1) * width
    columns = first + jnp.arange(width)

    def add(index: jax.Array, total: jax.Array) -> jax.Array:
        inputs = index * CHUNK + jnp.arange(CHUNK)
        x = triton.load(x_ref.at[pl.ds(index * CHUNK, CHUNK)], mask=inputs < wide, other=0)
        w = triton.load(
            w_ref.at[adapter, pl.ds(index * CHUNK, CHUNK), pl.ds(first, width)],
            mask=(inputs < wide)[:, None] & (columns < out)[None],
            other=0,
        )
        return total + jnp.sum(x.astype(jnp.float32)[:, None] * w.astype(jnp.float32), 0)

    total = jax.lax.fori_loop(0, pl.cdiv(wide, CHUNK), add, jnp.zeros(width, jnp.float32))
    triton.store(y_ref, total.astype(y_ref.dtype), mask=columns < out)


def product_cuda(x: jax.Array, w: jax.Array, rows: jax.Array, **options: Any) -> jax.Array:
    """`product_tpu` for Triton, where a program loads from wherever its row points."""
    (total, wide), out = x.shape, w.shape[2]
    width = min(WIDTH, pl.next_power_of_2(out))
    return pl.pallas_call(
        _cuda_kernel,
        grid=(total, pl.cdiv(out, width)),
        in_specs=[
            pl.BlockSpec((1,), lambda b, j: (b,)),
            pl.BlockSpec((None, wide), lambda b, j: (b, 0)),
            pl.BlockSpec(w.shape, lambda b, j: (0, 0, 0)),
        ],
        out_specs=pl.BlockSpec((None, width), lambda b, j: (b, j)),
        out_shape=jax.ShapeDtypeStruct((total, out), x.dtype),
        **options,
    )(rows, x, w)


def low_rank_tpu(
    x: jax.Array, a: jax.Array, b: jax.Array, rows: jax.Array, **options: Any
) -> jax.Array:
    """`reference.low_rank_mixed` for x [B, 1, in] on a TPU."""
    inner = product_tpu(x[:, 0], a.astype(x.dtype), rows, **options)
    return product_tpu(inner, b.astype(x.dtype), rows, **options)[:, None]


def low_rank_cuda(
    x: jax.Array, a: jax.Array, b: jax.Array, rows: jax.Array, **options: Any
) -> jax.Array:
    """`reference.low_rank_mixed` for x [B, 1, in] on an NVIDIA GPU."""
    options = {"compiler_params": TRITON, **options}
    inner = product_cuda(x[:, 0], a, rows, **options)
    return product_cuda(inner, b, rows, **options)[:, None]
