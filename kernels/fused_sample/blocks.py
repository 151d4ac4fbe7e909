"""Looking into a large vocabulary by blocks: most of it is read once, for one number a block."""

import jax
import jax.numpy as jnp


def in_blocks(values: jax.Array, block: int, fill: float) -> jax.Array:
    """[B, V] as [B, ceil(V / block), block], the last block filled up."""
    rows, size = values.shape
    count = -(-size // block)
    padded = jnp.pad(values, ((0, 0), (0, count * block - size)), constant_values=fill)
    return padded.reshape(rows, count, block)


def take_blocks(values: jax.Array, wanted: jax.Array, block: int, fill: float) -> jax.Array:
    """Blocks wanted i32[B, C] of values [B, V]; [B, C, block], beyond V `fill`."""
    # Whole blocks are gathered: single numbers are many times slower on CPU.
    return jnp.take_along_axis(in_blocks(values, block, fill), wanted[:, :, None], 1)


def argmax(values: jax.Array, block: int = 64) -> jax.Array:
    """Index i32[B] of the first largest of values f32[B, V].

    XLA:CPU reduces values alone several times faster than values with their indices.
    """
    best = jnp.argmax(jnp.max(in_blocks(values, block, -jnp.inf), -1), -1).astype(jnp.int32)
    inside = take_blocks(values, best[:, None], block, -jnp.inf)[:, 0]
    return best * block + jnp.argmax(inside, -1).astype(jnp.int32)


def largest(values: jax.Array, count: int, block: int = 64) -> tuple[jax.Array, jax.Array]:
    """The `count` largest of values f32[B, V], descending, and where they stand.

    They lie in the `count` blocks of the largest maxima. Which of several equal values at the end
    of the list are named is left open.

    Returns:
        f32[B, count] and i32[B, count].
    """
    size = values.shape[1]
    if count * block >= size:
        return _top_k(values, count)
    _, chosen = _top_k(jnp.max(in_blocks(values, block, -jnp.inf), -1), count)
    inside = take_blocks(values, chosen, block, -jnp.inf).reshape(len(values), -1)
    found, place = _top_k(inside, count)
    return found, jnp.take_along_axis(chosen, place // block, 1) * block + place % block


def _top_k(values: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
    # Behind a barrier: XLA merges a slice of the result with the selection, and sorts everything.
    return jax.lax.optimization_barrier(jax.lax.top_k(values, count))


def inverse_cdf(weights: jax.Array, u: jax.Array) -> jax.Array:
    """An index drawn in proportion to weights f32[B, n] by u f32[B] in [0, 1); i32[B].

    An index of weight 0 is never drawn, whatever is rounded.
    """
    mass = jnp.cumsum(weights, -1)
    reached = (mass > u[:, None] * mass[:, -1:]) & (weights > 0)
    # u times the sum may round to the sum itself.
    found = jnp.where(jnp.any(reached, -1), jnp.argmax(reached, -1), jnp.argmax(weights, -1))
    return found.astype(jnp.int32)
