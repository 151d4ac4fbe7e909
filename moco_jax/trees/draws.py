"""Random masks that any piece of a tensor can draw for itself.

A draw is a function of the key, the row and the element's index, computed by threefry from a
counter. So a mask is the same whether a tensor is merged whole or in pieces of whole blocks.
"""

import jax
import jax.numpy as jnp
from jax.extend.random import threefry_2x32

BLOCK = 4096
"""Pieces start at multiples of this many elements."""

LEVELS = 1 << 16
"""Draws are whole numbers below this: 16 bits are enough for a share, and one call makes four."""

_LANES = 4
_WIDTH = BLOCK // _LANES


def draw(key: jax.Array, start_block: jax.Array, rows: int, size: int) -> jax.Array:
    """Uniform numbers from 0 to `LEVELS` - 1, one per element.

    Args:
        key: `jax.random.key` of threefry.
        start_block: i32[] where the piece starts in its tensor, in blocks.
        rows: R, independent streams.
        size: S, elements of the piece.

    Returns:
        u32[R, S].
    """
    blocks = -(-size // BLOCK)
    first = jnp.uint32(start_block) * _WIDTH
    counter = first + jnp.arange(blocks * _WIDTH, dtype=jnp.uint32)
    counter = jnp.broadcast_to(counter, (rows, blocks * _WIDTH))
    stream = jnp.broadcast_to(jnp.arange(rows, dtype=jnp.uint32)[:, None], counter.shape)
    words = threefry_2x32(jax.random.key_data(key), jnp.stack([counter, stream]))
    low, high = words & (LEVELS - 1), words >> 16
    lanes = jnp.stack([low[0], low[1], high[0], high[1]], axis=1)
    lanes = lanes.reshape(rows, _LANES, blocks, _WIDTH).swapaxes(1, 2)
    return lanes.reshape(rows, -1)[:, :size]
