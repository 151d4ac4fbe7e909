"""Kernels against plain forms of the same thing.

    python experiments/bench_kernels.py --vocab=151936 --rows=8,32

With an accelerator: the Pallas kernel against its jnp reference. On CPU, where the reference is
what runs: the reference against the form one would write first (noise for every token and a sort of
the vocabulary; `top_k` for a threshold; a copy of its factors for every row).
"""

import functools
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
from absl import app, flags

from moco_jax.analysis.bench_page import Section, publish, table_of
from moco_jax.kernels import fused_sample, low_rank, ties_merge
from moco_jax.kernels.fused_sample import Filters, Knobs, reference, uniforms
from moco_jax.kernels.low_rank import reference as low_rank_reference
from moco_jax.kernels.ties_merge import reference as ties_reference
from moco_jax.testing import timing

_VOCAB = flags.DEFINE_integer("vocab", 151_936, "Tokens of the vocabulary.")
_ROWS = flags.DEFINE_list("rows", ["8", "32"], "Rows of a batch.")
_MEMBERS = flags.DEFINE_integer("members", 3, "Members whose logits are combined.")
_NUMBERS = flags.DEFINE_integer("numbers", 4_000_000, "Numbers of a task vector.")
_WIDTH = flags.DEFINE_integer("width", 2048, "Width of the layer under the adapters.")
_RANK = flags.DEFINE_integer("rank", 16, "Rank of the adapters.")
_REPEATS = flags.DEFINE_integer("repeats", 7, "Warm runs of each side.")
_QUICK = flags.DEFINE_bool("quick", False, "Only see that it runs.")
_JSON = flags.DEFINE_string("json", None, "Where to write the table.")

KNOBS = Knobs(temperature=0.7, top_k=50, top_p=0.9, min_p=0.05, penalty=1.0)
OFF = Filters(greedy=False, top_k=False, top_p=False, min_p=False, penalty=False)
FILTERS = {
    "no filter": OFF,
    "top-k 50": Filters(False, True, False, False, False),
    "top-p 0.9": Filters(False, False, True, False, False),
}
Case = tuple[str, Callable[..., object], Callable[..., object], tuple[object, ...]]


def sort_and_draw(filters: Filters, knobs: Knobs, keys, logits, weights) -> tuple:
    """Sorts for the filters, and draws by noise for every token."""
    mixed = jnp.einsum("bm,mbv->bv", weights, logits)
    scaled = mixed / knobs.temperature
    if filters.top_k or filters.top_p:
        falling = -jnp.sort(-scaled, axis=-1)
        kept = jnp.arange(scaled.shape[1]) < knobs.top_k
        if filters.top_p:
            probs = jax.nn.softmax(falling)
            kept = jnp.cumsum(probs, -1) - probs < knobs.top_p
        least = jnp.min(jnp.where(kept, falling, jnp.inf), -1, keepdims=True)
        scaled = jnp.where(scaled >= least, scaled, -jnp.inf)
    token = jax.vmap(jax.random.categorical)(keys, scaled)
    return token, jnp.take_along_axis(jax.nn.log_softmax(mixed), token[:, None], 1)[:, 0]


def plain_draw(filters: Filters, knobs: Knobs, keys, logits, weights) -> tuple:
    return reference.fused_sample(filters, knobs, uniforms(keys), logits, weights)


def top_k_merge(deltas, weights) -> jax.Array:
    """TIES whose thresholds come from `top_k`."""
    kept = deltas.shape[1] // 2
    least = jax.lax.top_k(jnp.abs(deltas), kept)[0][:, -1]
    bounds = jax.lax.bitcast_convert_type(least, jnp.int32)
    return ties_reference.elect_and_mean(deltas, weights, bounds, False, True)


def plain_merge(deltas, weights) -> jax.Array:
    return ties_reference.ties(deltas, weights, deltas.shape[1] // 2, False, True)


def gathered(x, a, b, rows) -> jax.Array:
    """A copy of its factors for every row."""
    return jnp.einsum("bsr,bro->bso", jnp.einsum("bsi,bir->bsr", x, a[rows]), b[rows])


def cases(rows: list[int], vocab: int, numbers: int, width: int) -> Iterator[Case]:
    """Name, what runs here, what it is compared with, and their arguments."""
    on_cpu = jax.default_backend() == "cpu"
    keys = jax.random.split(jax.random.key(0), 4)
    for count in rows:
        logits = 3 * jax.random.normal(keys[0], (_MEMBERS.value, count, vocab))
        # Some tokens stand out, as they do in text.
        logits = logits.at[:, :, :20].add(12)
        weights = jnp.full((count, _MEMBERS.value), 1 / _MEMBERS.value)
        drawn = (KNOBS, jax.random.split(keys[1], count), logits, weights)
        for name, filters in FILTERS.items():
            ours = functools.partial(fused_sample, filters)
            other = functools.partial(sort_and_draw if on_cpu else plain_draw, filters)
            yield f"draw, {name}, {count} rows", ours, other, drawn
        x = jax.random.normal(keys[2], (count, 1, width))
        a = jax.random.normal(keys[3], (8, width, _RANK.value))
        own = jnp.arange(count) % 8
        other = gathered if on_cpu else low_rank_reference.low_rank_rows
        yield f"low rank, {count} rows", low_rank, other, (x, a, a.swapaxes(1, 2), own)
    deltas = jax.random.normal(keys[0], (4, numbers))
    other = top_k_merge if on_cpu else plain_merge
    ours = functools.partial(ties_merge, density=0.5)
    yield f"TIES, 4 x {numbers:,}", ours, other, (deltas, jnp.full(4, 0.25))


def measure(name: str, ours: Callable, other: Callable, arguments: tuple) -> dict[str, object]:
    left, right = jax.jit(ours), jax.jit(other)
    actions = {"ours": lambda: left(*arguments), "other": lambda: right(*arguments)}
    found = timing.side_by_side(actions, _REPEATS.value)
    return {
        "computation": name,
        "ours, ms": 1e3 * found["ours"].median,
        "compared with, ms": 1e3 * found["other"].median,
        "times as fast": timing.speedup(found["other"], found["ours"]),
    }


def main(_: list[str]) -> None:
    rows, vocab = [int(count) for count in _ROWS.value], _VOCAB.value
    numbers, width = _NUMBERS.value, _WIDTH.value
    if _QUICK.value:
        rows, vocab, numbers, width = [2], 1000, 10_000, 64
    found = [measure(*case) for case in cases(rows, vocab, numbers, width)]
    print(publish([Section("kernels", table_of(found), timing.machine())], _JSON.value))


if __name__ == "__main__":
    app.run(main)
