"""What a machine can do at best, measured through XLA: the roof that decoding stands under."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from moco_jax.models.config import ModelConfig
from moco_jax.models.cost import flops_per_token
from moco_jax.models.linear import linear
from moco_jax.testing.timing import seconds

PyTree = Any

TRIES = 7


def _best(action: Any) -> float:
    """Seconds of the fastest of several runs: a roof is what is possible."""
    action()
    return min(seconds(action) for _ in range(TRIES))


def read_bandwidth(size: int = 1 << 28) -> float:
    """Bytes per second at which XLA reads memory without writing any.

    Args:
        size: bytes to read; memory of the size of interest, because caches are large.
    """
    array = jax.block_until_ready(jnp.ones(max(size // 4, 1), jnp.float32))
    read = jax.jit(jnp.sum)
    return array.nbytes / _best(lambda: read(array))


def matrices(params: PyTree) -> list[jax.Array]:
    """What a decode step multiplies its rows with: kernels [out, in], the output layer included."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    kernels = [leaf for path, leaf in leaves if path[-1].key == "kernel"]
    tied = "lm_head" not in params
    return [*kernels, params["embed_tokens"]["embedding"]] if tied else kernels


def matmul_rate(weights: list[jax.Array], rows: int) -> float:
    """FLOPs per second of [rows, in] @ [in, out] over all weights, the best way that XLA has.

    Args:
        weights: [out, in] each; together larger than the caches, as a model's are.
        rows: how many.
    """
    inputs = {
        size: jnp.ones((rows, size), weights[0].dtype)
        for size in sorted({weight.shape[1] for weight in weights})
    }
    flops = 2 * rows * sum(weight.size for weight in weights)
    stored = [jnp.array(weight.T) for weight in weights]
    ways = [_best(lambda: _products(inputs, stored, jnp.matmul, 0))]
    ways += [
        _best(lambda way=way: _products(inputs, weights, way, 1)) for way in (linear, _rows_first)
    ]
    return flops / min(ways)


def _rows_first(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return jax.lax.dot_general(x, kernel, (((1,), (1,)), ((), ())))


@functools.partial(jax.jit, static_argnames=("way", "axis"))
def _products(
    inputs: dict[int, jax.Array],
    weights: list[jax.Array],
    way: Callable[[jax.Array, jax.Array], jax.Array],
    axis: int,
) -> list[jax.Array]:
    return [way(inputs[weight.shape[axis]], weight) for weight in weights]


def decode_bytes(config: ModelConfig, params: PyTree, rows: int, context: float) -> float:
    """Bytes that one decode step has to read: all weights, and the keys and values seen so far.

    Args:
        config: the model.
        params: its weights.
        rows: decoded together.
        context: positions a row sees, on average.
    """
    weights = matrices(params)
    width = weights[0].dtype.itemsize
    slots = 2 * config.num_layers * config.num_kv_heads * config.head_dim
    return width * (sum(weight.size for weight in weights) + rows * context * slots)


def decode_flops(config: ModelConfig, rows: int, context: int) -> float:
    """FLOPs of one decode step of `rows` rows that see `context` positions each."""
    return float(rows * flops_per_token(config, context))
