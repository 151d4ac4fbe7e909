"""Weights as a program wants them, where that is not as they are stored."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

Params = dict[str, Any]

FEW_ROWS = 64
"""Up to so many rows a CPU multiplies with the weights first. Steps of 128 rows took 3 to 8% longer
that way: what comes out must be transposed, which grows with the rows."""


class Packed:
    """Weights, and the same with transposed kernels, made when they are first asked for.

    For few rows `times_out_in` is up to twice as fast on a CPU as any product with kernels
    [in, out] (`experiments/bench_products.py`). Accelerators do not mind.
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


def times_out_in(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """x [..., in] times the transpose of kernel [out, in], f32[..., out].

    A few rows on a CPU are multiplied with the weights as the left side, which the library behind
    XLA does up to twice as fast (`experiments/bench_products.py`). The barrier keeps XLA from
    exchanging the sides again to save the transpose of the result.
    """

    def product(left: jax.Array, right: jax.Array) -> jax.Array:
        axes = (((left.ndim - 1,), (right.ndim - 1,)), ((), ()))
        return jax.lax.dot_general(left, right, axes, preferred_element_type=jnp.float32)

    def weights_first(x: jax.Array, kernel: jax.Array) -> jax.Array:
        columns = product(kernel, x.reshape(-1, x.shape[-1]))
        return jax.lax.optimization_barrier(columns).T.reshape(*x.shape[:-1], -1)

    if x.size > FEW_ROWS * x.shape[-1]:
        return product(x, kernel)
    return jax.lax.platform_dependent(x, kernel, cpu=weights_first, default=product)


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
