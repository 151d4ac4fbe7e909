"""The product of every linear layer, with weights as they stand in checkpoints."""

import jax
import jax.numpy as jnp

FEW_ROWS = 64
"""Up to so many rows a CPU multiplies with the weights first. Steps of 128 rows took 3 to 8% longer
that way: what comes out must be transposed, which grows with the rows."""


def linear(x: jax.Array, kernel: jax.Array) -> jax.Array:
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
