"""The fused draw on accelerators: one program a row, which reads its members' logits only.

Logits lie in lines of 128 tokens, CHUNK lines at a time, and are combined anew in every pass: after
the first, a row comes from the chip's cache, and no combined logits are ever written. Filters are
searched over the bit patterns of a token's distance from the row's maximum, never negative. The
draw is the reference's over the whole vocabulary: a line by one number, a token by the other.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

from moco_jax.kernels.fused_sample.settings import Filters, Knobs

LANES = 128
CHUNK = 8
FIRST_WEIGHT = 6
"""Where the members' weights begin in a row's line of settings."""
MOST = LANES - FIRST_WEIGHT
"""Members whose weights fit into that line."""
NEVER = jnp.finfo(jnp.float32).min
INFINITY_BITS = 0x7F800000


def _kernel(
    settings_ref: Any,
    logits_ref: Any,
    token_ref: Any,
    logprob_ref: Any,
    filters: Filters,
    vocab: int,
) -> None:
    """One row: settings f32[1, 128], logits f32[M, lines, 128]; token i32[1, 128], its log-prob."""
    members, lines, _ = logits_ref.shape
    line = settings_ref[...]
    place = jax.lax.broadcasted_iota(jnp.int32, line.shape, 1)

    def setting(index: int) -> jax.Array:
        # Vectors have no scalar access on TPUs: pick by a masked sum.
        return jnp.sum(jnp.where(place == index, line, 0))

    weights = [setting(FIRST_WEIGHT + index) for index in range(members)]

    def mixed(first: jax.Array, count: int) -> jax.Array:
        # A member may rule a token out by minus infinity, and 0 times that is no number.
        parts = [
            jnp.maximum(logits_ref[index, pl.ds(first, count), :], NEVER) * weights[index]
            for index in range(members)
        ]
        # Filled up only here: a negative weight would turn filling in the logits into the maximum.
        return jnp.where(_tokens(first, count) < vocab, sum(parts[1:], parts[0]), NEVER)

    def over_chunks(step: Callable[[jax.Array, Any], Any], start: Any) -> Any:
        def one(index: jax.Array, carry: Any) -> Any:
            return step(index * CHUNK, carry)

        return jax.lax.fori_loop(0, lines // CHUNK, one, start)

    top = over_chunks(
        lambda first, best: jnp.maximum(best, jnp.max(mixed(first, CHUNK))), jnp.float32(NEVER)
    )
    normalizer = over_chunks(
        lambda first, total: total + jnp.sum(jnp.exp(mixed(first, CHUNK) - top)), jnp.float32(0)
    )
    if filters.greedy:
        token, chosen = _first_at(top, mixed, over_chunks, lines), top
    else:
        token, chosen = _draw(filters, setting, mixed, over_chunks, top, lines)
    token_ref[...] = jnp.full(line.shape, token)
    logprob_ref[...] = jnp.full(line.shape, chosen - top - jnp.log(normalizer))


def _first_at(top: jax.Array, mixed: Callable, over_chunks: Callable, lines: int) -> jax.Array:
    """The first token whose logit is the row's maximum."""

    def step(first: jax.Array, best: jax.Array) -> jax.Array:
        found = jnp.where(mixed(first, CHUNK) == top, _tokens(first, CHUNK), lines * LANES)
        return jnp.minimum(best, jnp.min(found))

    return over_chunks(step, jnp.int32(lines * LANES))


def _draw(
    filters: Filters,
    setting: Callable,
    mixed: Callable,
    over_chunks: Callable,
    top: jax.Array,
    lines: int,
) -> tuple[jax.Array, jax.Array]:
    """The token drawn and its logit."""
    temperature, top_k, top_p, min_p, first_u, second_u = (setting(index) for index in range(6))

    def weigh(values: jax.Array, most: jax.Array, reach: jax.Array) -> jax.Array:
        return jnp.where(top - values <= reach, jnp.exp((values - most) / temperature), 0)

    def mass(reach: jax.Array) -> jax.Array:
        def step(first: jax.Array, total: jax.Array) -> jax.Array:
            return total + jnp.sum(weigh(mixed(first, CHUNK), top, reach))

        return over_chunks(step, jnp.float32(0))

    def count(reach: jax.Array) -> jax.Array:
        def step(first: jax.Array, total: jax.Array) -> jax.Array:
            return total + jnp.sum((top - mixed(first, CHUNK) <= reach).astype(jnp.float32))

        return over_chunks(step, jnp.float32(0))

    reach = jnp.float32(jnp.finfo(jnp.float32).max)
    if filters.top_k:
        reach = _least(lambda t: count(t) >= top_k, reach)
    if filters.top_p:
        wanted, limit = top_p * mass(reach), reach
        reach = _least(lambda t: mass(jnp.minimum(t, limit)) >= wanted, reach)
    if filters.min_p:
        reach = jnp.minimum(reach, -jnp.log(min_p) * temperature)

    aim = first_u * mass(reach)

    def find(first: jax.Array, state: tuple) -> tuple:
        passed, line, heaviest, fallback = state
        sums = jnp.sum(weigh(mixed(first, CHUNK), top, reach), 1, keepdims=True)
        numbers = first + jax.lax.broadcasted_iota(jnp.int32, sums.shape, 0)
        hit = (passed + _running_sum(sums, 0) > aim) & (sums > 0)
        line = jnp.minimum(line, jnp.min(jnp.where(hit, numbers, lines)))
        most = jnp.max(sums)
        own = jnp.min(jnp.where(sums == most, numbers, lines))
        fallback = jnp.where(most > heaviest, own, fallback)
        return passed + jnp.sum(sums), line, jnp.maximum(heaviest, most), fallback

    start = (jnp.float32(0), jnp.int32(lines), jnp.float32(-1), jnp.int32(0))
    _, line, _, fallback = over_chunks(find, start)
    # The first number times the mass may round to the mass itself.
    line = jnp.where(line < lines, line, fallback)
    values = mixed(line, 1)
    weights = weigh(values, jnp.max(values), reach)
    tokens = _tokens(line, 1)
    hit = (_running_sum(weights, 1) > second_u * jnp.sum(weights)) & (weights > 0)
    last = jnp.max(jnp.where(weights > 0, tokens, 0))
    token = jnp.minimum(last, jnp.min(jnp.where(hit, tokens, lines * LANES)))
    return token, jnp.sum(jnp.where(tokens == token, values, 0))


def _least(holds: Callable[[jax.Array], jax.Array], most: jax.Array) -> jax.Array:
    """The least distance for which `holds`, at most `most`; true from some distance on."""

    def halve(_: jax.Array, bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = bounds
        middle = low + ((high - low) >> 1)
        fits = holds(jax.lax.bitcast_convert_type(middle, jnp.float32))
        return jnp.where(fits, low, middle + 1), jnp.where(fits, middle, high)

    bounds = jnp.int32(0), jnp.int32(INFINITY_BITS)
    _, high = jax.lax.fori_loop(0, 31, halve, bounds)
    return jnp.minimum(jax.lax.bitcast_convert_type(high, jnp.float32), most)


def _tokens(first: jax.Array, count: int) -> jax.Array:
    """The tokens of `count` lines from `first`; i32[count, 128]."""
    lines = jax.lax.broadcasted_iota(jnp.int32, (count, LANES), 0)
    return (first + lines) * LANES + jax.lax.broadcasted_iota(jnp.int32, (count, LANES), 1)


def _running_sum(values: jax.Array, axis: int) -> jax.Array:
    """Inclusive sums along an axis of [n, 1] or [1, n], by a triangle: TPUs have no cumsum."""
    size = values.shape[axis]
    row = jax.lax.broadcasted_iota(jnp.int32, (size, size), 0)
    column = jax.lax.broadcasted_iota(jnp.int32, (size, size), 1)
    if axis == 0:
        across = jnp.sum(jnp.where(row == column, values, 0), 0, keepdims=True)
        return jnp.sum(jnp.where(column <= row, across, 0), 1, keepdims=True)
    down = jnp.sum(jnp.where(row == column, values, 0), 1, keepdims=True)
    return jnp.sum(jnp.where(row <= column, down, 0), 0, keepdims=True)


def fused_sample(
    filters: Filters,
    knobs: Knobs,
    u: jax.Array,
    logits: jax.Array,
    weights: jax.Array,
    **options: Any,
) -> tuple[jax.Array, jax.Array]:
    """`reference.fused_sample` in one kernel.

    Args:
        filters: which steps apply.
        knobs: their values.
        u: f32[B, 2].
        logits: f32[M, B, V], M at most `MOST`.
        weights: f32[B, M].
        **options: `interpret` and `compiler_params` of `pallas_call`.

    Returns:
        i32[B] and f32[B].
    """
    members, rows, vocab = logits.shape
    lines = -(-vocab // (CHUNK * LANES)) * CHUNK
    padded = jnp.pad(logits, ((0, 0), (0, 0), (0, lines * LANES - vocab)))
    shaped = padded.reshape(members, rows, lines, LANES)
    values = jnp.asarray([knobs.temperature, knobs.top_k, knobs.top_p, knobs.min_p], jnp.float32)
    settings = jnp.concatenate([jnp.tile(values, (rows, 1)), u, weights], 1)
    settings = jnp.pad(settings, ((0, 0), (0, LANES - settings.shape[1])))[:, None]
    line = pl.BlockSpec((None, 1, LANES), lambda row: (row, 0, 0))
    token, logprob = pl.pallas_call(
        functools.partial(_kernel, filters=filters, vocab=vocab),
        grid=(rows,),
        in_specs=[line, pl.BlockSpec((members, None, lines, LANES), lambda row: (0, row, 0, 0))],
        out_specs=[line, line],
        out_shape=[
            jax.ShapeDtypeStruct((rows, 1, LANES), jnp.int32),
            jax.ShapeDtypeStruct((rows, 1, LANES), jnp.float32),
        ],
        **options,
    )(settings, shaped)
    return token[:, 0, 0], logprob[:, 0, 0]
