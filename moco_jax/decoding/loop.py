"""The one decode loop, on device: groups of members, rows of text, a policy.

A row's stream is written to every group's cache as it grows. The last token of a stream is never in
the cache yet: each step first feeds it, gets the next logits, and chooses the next token. Prefill
therefore writes all but the last prompt token, and needs no logits.
"""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from moco_jax.decoding.combine import Aux, Combine
from moco_jax.decoding.groups import (
    Group,
    Weights,
    cache_index,
    deal_cache,
    fold,
    hidden_states,
    logits_of,
    unfold,
)
from moco_jax.decoding.keys import step_keys
from moco_jax.decoding.sampling import Filters, Knobs, draw
from moco_jax.models.decoder import KVCache
from moco_jax.models.partition import constrain

PyTree = Any
Array = jax.Array | np.ndarray

RUNNING, STOP, LENGTH = 0, 1, 2


@dataclasses.dataclass(frozen=True)
class Program:
    """What a compiled decode program depends on, besides shapes.

    Attributes:
        groups: members that write together, each a group or all of them the voices of one, or one
            population whose members each write alone.
        combine: the policy.
        filters: the sampling steps it contains.
        vocab_size: logits are cut to the vocabulary that the groups share.
        source: hash of the policy's code, since what its step calls may be defined again.
    """

    groups: tuple[Group, ...]
    combine: Combine
    filters: Filters
    vocab_size: int
    source: str = ""

    @property
    def members(self) -> tuple[range, ...]:
        """M numbered members: those of each group."""
        ends = list(itertools.accumulate((group.voices for group in self.groups), initial=0))
        return tuple(itertools.starmap(range, itertools.pairwise(ends)))


@flax.struct.dataclass
class Rows:
    """State of B rows; every leaf but the members' leads with the row axis.

    Attributes:
        last: i32[M, B] last token of each member's stream, not yet in its cache.
        position: i32[M, B] where it will be written.
        step: i32[B] tokens generated so far: the row's own token index.
        budget: i32[B] tokens it may generate.
        finish: i32[B] RUNNING, STOP or LENGTH; empty slots are STOP.
        owner: i32[B] which parameter set of a population answers it.
        key: u32[B, 2] threefry key data of the row.
        theta: the policy's settings.
        carry: the policy's memory.
        tokens: i32[B, T] generated tokens.
        logprobs: f32[B, T] their log-probabilities at temperature 1, unfiltered.
        speaker: i32[B, T] the member heard at each token, where the policy says so.
        seen: bool[B, V] tokens of prompt and answer, or None without a repetition penalty.
    """

    last: Array
    position: Array
    step: Array
    budget: Array
    finish: Array
    owner: Array
    key: Array
    theta: PyTree
    carry: PyTree
    tokens: Array
    logprobs: Array
    speaker: Array
    seen: Array | None


def empty_rows(program: Program, width: int, length: int, theta_row: PyTree) -> Rows:
    """Host arrays of `width` free slots for answers of up to `length` tokens."""
    members = program.members[-1].stop
    theta = jax.tree.map(lambda leaf: np.repeat(np.asarray(leaf)[None], width, 0), theta_row)
    return Rows(
        last=np.zeros((members, width), np.int32),
        position=np.zeros((members, width), np.int32),
        step=np.zeros(width, np.int32),
        budget=np.zeros(width, np.int32),
        finish=np.full(width, STOP, np.int32),
        owner=np.zeros(width, np.int32),
        key=np.zeros((width, 2), np.uint32),
        theta=theta,
        carry=jax.tree.map(np.array, program.combine.init(theta)),
        tokens=np.zeros((width, length), np.int32),
        logprobs=np.zeros((width, length), np.float32),
        speaker=np.zeros((width, length), np.int32),
        seen=np.zeros((width, program.vocab_size), bool) if program.filters.penalty else None,
    )


@functools.partial(jax.jit, static_argnames=("group", "context"), donate_argnames=("cache",))
def prefill(
    group: Group,
    context: int,
    weights: Weights,
    cache: KVCache,
    rows: jax.Array,
    tokens: jax.Array,
    positions: jax.Array,
    owners: jax.Array,
) -> KVCache:
    """Writes a block of prompt tokens into some rows of a cache.

    Args:
        group: whose cache it is.
        context: only the first `context` slots are read and written; a bucket.
        weights: the group's weights.
        cache: the cache, donated.
        rows: i32[P] the rows to write, in the shares of the group; an index beyond the cache is
            padding.
        tokens: i32[P, S].
        positions: i32[P, S]; negative is padding.
        owners: i32[P] the parameter set of each row.

    Returns:
        The cache with the block written.
    """
    index = cache_index(group, cache, rows, context)
    view = jax.tree.map(lambda leaf, part: leaf.at[part].get(mode="clip"), cache, index)
    view = deal_cache(group, unfold(group, view))
    _, view = hidden_states(group, weights, tokens, positions, view, owners)
    cache = jax.tree.map(
        lambda leaf, new, part: leaf.at[part].set(new, mode="drop"), cache, fold(group, view), index
    )
    return deal_cache(group, cache)


@functools.partial(jax.jit, static_argnames=("group", "context"), donate_argnames=("cache",))
def copy_prefix(
    group: Group, context: int, cache: KVCache, sources: jax.Array, targets: jax.Array
) -> KVCache:
    """Copies the first `context` slots of some rows of a cache to others.

    Args:
        group: whose cache it is.
        context: a bucket.
        cache: the cache, donated.
        sources: i32[P] rows to read.
        targets: i32[P] rows to write; an index beyond the cache is padding.
    """
    return _copied(group, context, cache, sources, cache, targets)


@functools.partial(jax.jit, static_argnames=("group",), donate_argnames=("cache",))
def move_rows(
    group: Group, others: KVCache, cache: KVCache, sources: jax.Array, targets: jax.Array
) -> KVCache:
    """Copies whole rows of a smaller cache to the front of rows of another.

    Args:
        group: whose caches they are.
        others: the smaller cache, read.
        cache: the cache, donated.
        sources: i32[P] rows to read.
        targets: i32[P] rows to write; an index beyond the cache is padding.
    """
    return _copied(group, others[0][0].shape[-1], others, sources, cache, targets)


def _copied(
    group: Group,
    slots: int,
    others: KVCache,
    sources: jax.Array,
    cache: KVCache,
    targets: jax.Array,
) -> KVCache:
    """The cache with the first slots of some rows of others in rows of its own."""
    starts = cache_index(group, others, sources, slots)
    ends = cache_index(group, cache, targets, slots)

    def copied(leaf: jax.Array, other: jax.Array, start: Any, end: Any) -> jax.Array:
        return leaf.at[end].set(other[start], mode="drop")

    return deal_cache(group, jax.tree.map(copied, cache, others, starts, ends))


@functools.partial(jax.jit, static_argnames=("program",), donate_argnames=("caches", "rows"))
def decode(
    program: Program,
    weights: Sequence[Weights],
    caches: Sequence[KVCache],
    rows: Rows,
    knobs: Knobs,
    eos: jax.Array,
    steps: jax.Array,
    patience: jax.Array,
) -> tuple[Sequence[KVCache], Rows]:
    """Generates up to `steps` tokens per running row.

    Args:
        program: what is compiled.
        weights: the groups' weights.
        caches: the groups' caches, donated.
        rows: the rows, donated.
        knobs: values of the sampling filters.
        eos: i32[E] ids that end a row, padded with -1.
        steps: most tokens per call.
        patience: leave early once this many rows are free (B: only when all are).

    Returns:
        The caches and rows.
    """

    def going(state):
        index, _, rows = state
        free = jnp.sum(rows.finish != RUNNING)
        return (index < steps) & (free < patience)

    def step(state):
        index, caches, rows = state
        caches, rows = _step(program, weights, caches, rows, knobs, eos)
        return index + 1, caches, rows

    rows = constrain(rows)
    _, caches, rows = jax.lax.while_loop(going, step, (jnp.int32(0), tuple(caches), rows))
    return caches, constrain(rows)


def _step(program, weights, caches, rows, knobs, eos):
    """One token for every running row."""
    live = rows.finish == RUNNING
    logits, caches = _next_logits(program, weights, caches, rows, live)
    keys = step_keys(rows.key, rows.step)

    def drawn(keys, logits):
        return draw(program.filters, knobs, keys, logits, rows.seen)

    aux = Aux(rows.step, rows.last[0], drawn)
    carry, choice = program.combine.step(rows.theta, rows.carry, keys, logits, aux)
    token = drawn(keys, choice.logits) if choice.token is None else choice.token
    chosen = jnp.take_along_axis(choice.logits, token[:, None], 1)[:, 0]
    logprob = chosen - jax.nn.logsumexp(choice.logits, axis=-1)
    # The state of the rows is small and the host reads it, so every device keeps all of it
    token, logprob = constrain((token, logprob))

    # A finished row's index lies beyond the buffer, where writes are dropped.
    slot = jnp.where(live, rows.step, rows.tokens.shape[1])
    row = jnp.arange(token.shape[0])
    done = live.astype(jnp.int32)
    ends = jnp.any(token[:, None] == eos, -1)
    if choice.stop is not None:
        ends |= choice.stop
    finish = jnp.where(ends, STOP, jnp.where(rows.step + 1 >= rows.budget, LENGTH, RUNNING))
    speaker = rows.speaker
    if choice.speaker is not None:
        speaker = speaker.at[row, slot].set(choice.speaker, mode="drop")
    seen = rows.seen
    if seen is not None:
        seen = seen.at[row, token].set(True)
    rows = rows.replace(
        last=jnp.where(live, token, rows.last),
        position=rows.position + done,
        step=rows.step + done,
        finish=jnp.where(live, finish, rows.finish),
        carry=carry,
        tokens=rows.tokens.at[row, slot].set(token, mode="drop"),
        logprobs=rows.logprobs.at[row, slot].set(logprob, mode="drop"),
        speaker=speaker,
        seen=seen,
    )
    return caches, rows


def _next_logits(program, weights, caches, rows, live):
    """Feeds every group its last tokens; f32[M, B, V] logits and the caches."""
    logits, grown = [], []
    position = jnp.where(live, rows.position, -1)
    for index, (group, members) in enumerate(zip(program.groups, program.members, strict=True)):
        part = slice(members.start, members.stop)
        fed, places = (array[part].reshape(-1, 1) for array in (rows.last, position))
        hidden, cache = hidden_states(group, weights[index], fed, places, caches[index], rows.owner)
        found = logits_of(group, weights[index], hidden[:, 0], rows.owner)
        found = found[:, : program.vocab_size]
        logits.append(found.reshape(len(members), -1, program.vocab_size))
        grown.append(cache)
    return jnp.concatenate(logits), tuple(grown)


SCORE_BLOCK = 16
"""Positions whose logits exist at once while text is scored."""


@functools.partial(jax.jit, static_argnames=("group",))
def token_logprobs(
    group: Group,
    weights: Weights,
    tokens: jax.Array,
    positions: jax.Array,
    cache: KVCache | None = None,
) -> jax.Array:
    """Log-probability of every token given those before it.

    Args:
        group: a single parameter set.
        weights: its arrays.
        tokens: i32[P, S], S a multiple of `SCORE_BLOCK`.
        positions: i32[P, S]; negative is padding.
        cache: what stands before the tokens; it is read, not changed.

    Returns:
        f32[P, S]; column 0 is 0.
    """
    owners = jnp.zeros(tokens.shape[0], jnp.int32)
    hidden, _ = hidden_states(group, weights, tokens, positions, cache, owners)
    targets = jnp.roll(tokens, -1, axis=1)
    blocks = tokens.shape[1] // SCORE_BLOCK

    def logprobs(part):
        states, wanted = part
        scores = jax.nn.log_softmax(logits_of(group, weights, states, owners))
        return jnp.take_along_axis(scores, wanted[..., None], -1)[..., 0]

    def split(array):
        parts = array.reshape(array.shape[0], blocks, SCORE_BLOCK, *array.shape[2:])
        return jnp.moveaxis(parts, 1, 0)

    found = jax.lax.map(logprobs, (split(hidden), split(targets)))
    found = jnp.moveaxis(found, 0, 1).reshape(tokens.shape)
    return constrain(jnp.roll(found, 1, axis=1).at[:, 0].set(0))
