"""Weights as a program wants them, where that is not as they are stored."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

Params = dict[str, Any]


class Packed:
    """Weights, and the same with transposed kernels, made when they are first asked for.

    XLA's CPU products read kernels [out, in] faster than [in, out] at most sizes and numbers of
    rows, the output layer's above all (`experiments/bench_products.py`). Accelerators do not mind.
    """

    def __init__(self, params: Params):
        """Holds params as they are stored."""
        self.params = params

    @functools.cached_property
    def turned(self) -> Params:
        """The weights with every "kernel" as "kernel_out_in"; other leaves are shared."""
        return turn_kernels(self.params)

    @property
    def here(self) -> Params:
        """What programs on the default backend compute with."""
        return self.turned if jax.default_backend() == "cpu" else self.params


def turn_kernels(params: Params) -> Params:
    """Every "kernel" [in, out] as "kernel_out_in", its transpose; other leaves are shared.

    A classification head stays, which is no part of decoding.
    """
    return {
        name: part if name == "score" or not isinstance(part, dict) else _turned(part)
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
