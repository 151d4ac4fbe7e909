"""The k-th largest of many numbers, exactly, without sorting them."""

import jax
import jax.numpy as jnp

_BITS = 31
"""Of a float32 that is not negative, whose order is that of its bits read as an integer."""


def nth_largest(values: jax.Array, rank: int) -> jax.Array:
    """The `rank`-th largest value of each row, by bisection over the bits of the answer.

    It counts 31 times, which takes no memory besides; a sort would take the size of the input.

    Args:
        values: f32[N, S], none negative.
        rank: 1 is the largest; from 1 to S.

    Returns:
        f32[N].
    """
    bits = jax.lax.bitcast_convert_type(values, jnp.int32)

    def narrow(step: jax.Array, found: jax.Array) -> jax.Array:
        bound = found | (1 << (_BITS - 1 - step))
        reached = jnp.sum(bits >= bound[:, None], axis=1, dtype=jnp.int32)
        return jnp.where(reached >= rank, bound, found)

    found = jax.lax.fori_loop(0, _BITS, narrow, jnp.zeros(values.shape[0], jnp.int32))
    return jax.lax.bitcast_convert_type(found, jnp.float32)
