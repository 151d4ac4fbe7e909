"""Ways to lay out keys and values for one decode step on this machine.

    python experiments/bench_attention.py --rows=1,8,32 --slots=128,512

Milliseconds of attention alone: 12 layers write one key and value per row and read their caches,
inside a loop as in decoding. B rows, K key-value heads with G query heads each, H dimensions, C
slots of the cache.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from absl import app, flags

from moco_jax.analysis.bench_page import Section, publish, table_of
from moco_jax.models.attention import attend, write_keys, write_values
from moco_jax.testing import timing

_ROWS = flags.DEFINE_list("rows", ["1", "8", "32"], "Rows of a batch.")
_SLOTS = flags.DEFINE_list("slots", ["128", "512"], "Slots of the cache; half of them are seen.")
_STEPS = flags.DEFINE_integer("steps", 24, "Steps of one run.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Warm runs of each way.")
_QUICK = flags.DEFINE_bool("quick", False, "Only see that it runs.")
_JSON = flags.DEFINE_string("json", None, "Where to write the table.")

LAYERS, K, G, H = 12, 2, 4, 64
SLOTS_FIRST, HEADS_FIRST, KEYS_TURNED = "BCKH", "BKCH", "BKHC"


def softmax(logits: jax.Array, mask: jax.Array) -> jax.Array:
    return jax.nn.softmax(jnp.where(mask, logits, jnp.finfo(logits.dtype).min), axis=-1)


def flattened(query: jax.Array, key: jax.Array, value: jax.Array, mask: jax.Array) -> jax.Array:
    """All heads of a slot contracted at once, with queries that are zero outside their own."""
    own = jnp.eye(K, dtype=query.dtype)
    spread = jnp.einsum("bkgh,kj->bkgjh", query, own).reshape(-1, K * G, K * H)
    keys, values = (part.reshape(len(part), -1, K * H) for part in (key, value))
    weights = softmax(jnp.einsum("bne,bte->bnt", spread, keys), mask[:, None])
    mixed = jnp.einsum("bnt,bte->bne", weights, values).reshape(-1, K, G, K, H)
    return jnp.einsum("bkgjh,kj->bkgh", mixed, own)


def products(query: jax.Array, key: jax.Array, value: jax.Array, mask: jax.Array) -> jax.Array:
    """A product per head, both with slots before dimensions."""
    weights = softmax(jnp.einsum("bkgh,bkch->bkgc", query, key), mask[:, None, None])
    return jnp.einsum("bkgc,bkch->bkgh", weights, value)


def keys_first(query: jax.Array, key: jax.Array, value: jax.Array, mask: jax.Array) -> jax.Array:
    """As `products`, with the keys as the left side, as weights are in `models/linear.py`."""
    logits = jax.lax.optimization_barrier(jnp.einsum("bkch,bkgh->bkcg", key, query))
    weights = softmax(logits.swapaxes(2, 3), mask[:, None, None])
    return jnp.einsum("bkgc,bkch->bkgh", weights, value)


def summed(query: jax.Array, key: jax.Array, value: jax.Array, mask: jax.Array) -> jax.Array:
    """Multiplied and added up in XLA's own code, without its library of products."""
    weights = softmax((query[..., None] * key[:, :, None]).sum(3), mask[:, None, None])
    return (weights[..., None] * value[:, :, None]).sum(3)


def ours(query: jax.Array, key: jax.Array, value: jax.Array, mask: jax.Array) -> jax.Array:
    """What models use."""
    flat = query.reshape(-1, K * G, 1, H)
    return attend(flat, key, value, mask[:, None], 1.0, None).reshape(query.shape)


def write(layout: str, cache: jax.Array, slots: jax.Array, new: jax.Array) -> jax.Array:
    """Puts new [B, K, H] at slots i32[B] of a cache."""
    if layout == SLOTS_FIRST:
        return cache.at[jnp.arange(len(new)), slots].set(new, mode="drop")
    put = write_keys if layout == KEYS_TURNED else write_values
    return put(cache, slots[:, None], new[:, :, None])


WAYS: dict[str, tuple[Callable[..., jax.Array], str, str]] = {
    "[B, C, K, H], heads flattened": (flattened, SLOTS_FIRST, SLOTS_FIRST),
    "[B, K, C, H]": (products, HEADS_FIRST, HEADS_FIRST),
    "[B, K, C, H], keys first": (keys_first, HEADS_FIRST, HEADS_FIRST),
    "keys [B, K, H, C], summed": (summed, KEYS_TURNED, HEADS_FIRST),
    "keys [B, K, H, C] (in use)": (ours, KEYS_TURNED, HEADS_FIRST),
}


def decoding(way: str, rows: int, slots: int) -> Callable[[], None]:
    attention, keys, values = WAYS[way]
    sizes = {"B": rows, "K": K, "C": slots, "H": H}
    shapes = [tuple(sizes[axis] for axis in layout) for layout in (keys, values)]

    def step(_: int, state: tuple) -> tuple:
        caches, query, position = state
        mask, grown = jnp.arange(slots)[None] <= position[:, None], []
        for key, value in caches:
            key = write(keys, key, position, query[:, :, 0])
            value = write(values, value, position, query[:, :, 0])
            query = 0.5 * (query + attention(query, key, value, mask))
            grown.append((key, value))
        return tuple(grown), query, position

    @functools.partial(jax.jit, donate_argnums=0)
    def run(caches: tuple, query: jax.Array) -> tuple:
        position = jnp.full(rows, slots // 2, jnp.int32)
        return jax.lax.fori_loop(0, _STEPS.value, step, (caches, query, position))

    query = jnp.ones((rows, K, G, H))
    held = [tuple(tuple(map(jnp.zeros, shapes)) for _ in range(LAYERS))]

    def action() -> None:
        held[0] = jax.block_until_ready(run(held[0], query))[0]

    return action


def main(_: list[str]) -> None:
    rows, slots = _ROWS.value, _SLOTS.value
    if _QUICK.value:
        rows, slots = ["2"], ["16"]
    table = []
    for count in map(int, rows):
        for size in map(int, slots):
            actions = {way: decoding(way, count, size) for way in WAYS}
            found = timing.side_by_side(actions, _REPEATS.value)
            each = {way: f"{1e3 * timed.median / _STEPS.value:.2f}" for way, timed in found.items()}
            table.append({"rows": count, "slots": size} | each)
            print(table[-1], flush=True)
    print(publish([Section("attention", table_of(table), timing.machine())], _JSON.value))


if __name__ == "__main__":
    app.run(main)
