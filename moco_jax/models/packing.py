"""Weights as a program wants them, where that is not as they are stored."""

from typing import Any

import jax
import jax.numpy as jnp

Params = dict[str, Any]

WIDE = 16
"""Rows from which XLA's CPU matrix product takes transposed kernels: about even at 16, faster at
32, slower for few rows of wide layers (`experiments/bench_products.py`)."""


def turn_kernels(params: Params) -> Params:
    """Every "kernel" [in, out] as "kernel_out_in", its transpose; other leaves are shared.

    The output layer stays: `unembed` reads it as it is.
    """
    return {
        name: part if name == "lm_head" or not isinstance(part, dict) else _turned(part)
        for name, part in params.items()
    }


def _turned(part: Params) -> Params:
    turned = {
        name: _turned(inner) if isinstance(inner, dict) else inner
        for name, inner in part.items()
        if name != "kernel"
    }
    if "kernel" in part:
        turned["kernel_out_in"] = _transpose(part["kernel"])
    return turned


@jax.jit
def _transpose(kernel: jax.Array) -> jax.Array:
    return jnp.transpose(kernel)
