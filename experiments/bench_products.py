"""Ways to multiply a few rows with large weights: XLA beside PyTorch.

    python experiments/bench_products.py --shapes=512x1408,1280x3584 --rows=1,8,16,32,512

GFLOP/s of [rows, in] @ [in, out] over a stack of weights larger than the caches of most machines.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from moco_jax.analysis.bench_page import Section, publish, table_of
from moco_jax.models.linear import linear
from moco_jax.testing import timing

_SHAPES = flags.DEFINE_list(
    "shapes", ["512x1408", "1280x3584", "3584x1280", "512x32000"], "Weights: in x out."
)
_ROWS = flags.DEFINE_list("rows", ["1", "8", "16", "32", "512"], "Rows.")
_MEGABYTES = flags.DEFINE_integer("megabytes", 100, "Size of all weights together.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Warm runs of each way.")
_QUICK = flags.DEFINE_bool("quick", False, "Only see that it runs.")
_JSON = flags.DEFINE_string("json", None, "Where to write the table.")

TILE = 128
CHUNK = 16
BLOCKS = 4
LINK = 1e-9


def plain(x: jax.Array, weight: jax.Array) -> jax.Array:
    return x @ weight


def turned(x: jax.Array, weight: jax.Array) -> jax.Array:
    """The weight is [out, in]."""
    return jax.lax.dot_general(x, weight, (((1,), (1,)), ((), ())))


def tiled(x: jax.Array, weight: jax.Array) -> jax.Array:
    """The weight is [out / TILE, TILE, in]."""
    return jnp.einsum("nfd,bd->bnf", weight, x).reshape(len(x), -1)


def added_up(x: jax.Array, weight: jax.Array) -> jax.Array:
    """Sums of scaled rows of the weight, CHUNK at a time: no library, XLA's own code."""

    def chunk(index: jax.Array, total: jax.Array) -> jax.Array:
        some = jax.lax.dynamic_slice_in_dim(x, index * CHUNK, CHUNK, 1)
        rows = jax.lax.dynamic_slice_in_dim(weight, index * CHUNK, CHUNK, 0)
        for place in range(CHUNK):
            total = total + some[:, place, None] * rows[place]
        return total

    zero = jnp.zeros((len(x), weight.shape[1]), x.dtype)
    return jax.lax.fori_loop(0, weight.shape[0] // CHUNK, chunk, zero)


def in_blocks(x: jax.Array, weights: tuple[jax.Array, ...]) -> jax.Array:
    """Blocks of columns that are arrays of their own, so that threads can work side by side."""
    return jnp.concatenate([x @ weight for weight in weights], 1)


def turn(weight: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(weight.T)


def tile(weight: np.ndarray) -> np.ndarray:
    return turn(weight).reshape(-1, TILE, weight.shape[0])


def block(weight: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(np.split(weight, BLOCKS, 1))


WAYS = {
    "x @ W": (plain, np.asarray),
    "W transposed": (turned, turn),
    "W transposed, on the left": (linear, turn),
    "columns in blocks": (in_blocks, block),
    "W in tiles": (tiled, tile),
    "multiply and add": (added_up, np.asarray),
}


def over(one: Callable, weights: list[np.ndarray], x: jax.Array) -> Callable[[], None]:
    """One product after the other, each of what the one before gave, as the layers of a model."""
    held = jax.tree.map(jnp.asarray, weights)

    @jax.jit
    def run(x: jax.Array, held: list) -> jax.Array:
        for weight in held:
            x = x + LINK * one(x, weight).sum(1, keepdims=True)
        return x

    return lambda: jax.block_until_ready(run(x, held))


def torch_over(weights: list[np.ndarray], x: jax.Array) -> Callable[[], None]:
    import torch

    held, rows = [torch.from_numpy(turn(weight)) for weight in weights], torch.tensor(np.asarray(x))

    @torch.inference_mode()
    def run() -> None:
        x = rows
        for weight in held:
            x = x + LINK * torch.nn.functional.linear(x, weight).sum(1, keepdim=True)

    return run


def main(_: list[str]) -> None:
    shapes, rows, megabytes = _SHAPES.value, _ROWS.value, _MEGABYTES.value
    if _QUICK.value:
        shapes, rows, megabytes = ["128x256"], ["2"], 1
    table = []
    for shape in shapes:
        width, out = map(int, shape.split("x"))
        count = max(megabytes * 2**20 // (4 * width * out), 1)
        draws = np.random.default_rng(0)
        weights = [draws.standard_normal((width, out), np.float32) for _ in range(count)]
        for number in map(int, rows):
            x = jnp.asarray(draws.standard_normal((number, width), np.float32))
            actions = {
                name: over(one, [form(weight) for weight in weights], x)
                for name, (one, form) in WAYS.items()
                # Its code grows with the rows; it is of interest for few only
                if one is not added_up or number <= 32
            }
            actions["PyTorch"] = torch_over(weights, x)
            found = timing.side_by_side(actions, _REPEATS.value)
            flops = 2 * number * width * out * count
            rates = {name: f"{flops / timed.median / 1e9:.0f}" for name, timed in found.items()}
            table.append(
                {"weight": shape, "rows": number}
                | {name: rates.get(name, "") for name in [*WAYS, "PyTorch"]}
            )
            print(table[-1], flush=True)
    print(publish([Section("products", table_of(table), timing.machine())], _JSON.value))


if __name__ == "__main__":
    app.run(main)
