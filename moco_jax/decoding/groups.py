"""Groups: what one decode program runs of one architecture, and the forward pass over its rows.

B rows, S tokens, N parameter sets, D dimensions, V vocabulary.
"""

import dataclasses
import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import Bank, KVCache, forward, init_cache, unembed
from moco_jax.models.partition import constrain, per_member
from moco_jax.models.sharding import CACHE, ROWS

PyTree = Any
Layout = Literal["single", "shares", "mixed", "stack", "voices"]


@dataclasses.dataclass(frozen=True)
class Group:
    """One architecture and how its rows find their parameters; static.

    Attributes:
        config: the architecture.
        sets: N, how many parameter sets produce streams of their own.
        layout: "single": all rows use the same weights. "shares": a bank of N adapters, whose
            rows are N equal shares in order. "mixed": the same bank, any row any adapter.
            "stack": weights with a leading axis [N, ...], whose rows are N equal shares in order.
            "voices": the same weights, but all N sets read every row: one text has N rows here,
            one in each share, and the N sets write it together.
    """

    config: ModelConfig
    sets: int = 1
    layout: Layout = "single"

    @property
    def shares(self) -> int:
        """How many equal shares the rows have, each with parameters of its own."""
        return self.sets if self.stacked or self.layout == "shares" else 1

    @property
    def stacked(self) -> bool:
        """Whether weights and caches have a leading axis of parameter sets."""
        return self.layout in ("stack", "voices")

    @property
    def voices(self) -> int:
        """How many members write each text here together; each has a row of its own for it."""
        return self.sets if self.layout == "voices" else 1


class Weights(NamedTuple):
    """The arrays of a group: parameters, and a bank of adapters over them or None.

    Those of voices are a tuple of the members' own trees until `Placement.weights` stacks them.
    """

    params: PyTree
    bank: Bank | None = None


def hidden_states(
    group: Group,
    weights: Weights,
    tokens: jax.Array,
    positions: jax.Array,
    cache: KVCache | None,
    owners: jax.Array,
) -> tuple[jax.Array, Any]:
    """`decoder.forward` with every row's own parameters.

    Args:
        group: whose rows they are.
        weights: its arrays.
        tokens: i32[B, S].
        positions: i32[B, S].
        cache: from `new_cache`, or None.
        owners: i32[B] the parameter set of each row; read by the layout "mixed" alone.

    Returns:
        hidden states [B, S, D] and the updated cache.
    """
    stacked = group.stacked
    if stacked:
        tokens, positions = _split(group.sets, tokens), _split(group.sets, positions)
    tokens, positions = constrain((tokens, positions), (ROWS,), stacked)
    if stacked:
        # The sets' axis stands inside the loop body: over the whole loop it would copy the caches
        run = functools.partial(forward, group.config)
        hidden, cache = per_member(run, weights.params, tokens, positions, cache)
        return _join(hidden), cache
    bank = _bank(group, weights, owners)
    return forward(group.config, weights.params, tokens, positions, cache, bank)


def logits_of(group: Group, weights: Weights, hidden: jax.Array, owners: jax.Array) -> jax.Array:
    """Logits f32[B, ..., V] of hidden states [B, ..., D]; arguments as of `hidden_states`."""
    if group.stacked:
        run = functools.partial(unembed, group.config)
        return _join(per_member(run, weights.params, _split(group.sets, hidden)))
    return unembed(group.config, weights.params, hidden, _bank(group, weights, owners))


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def new_cache(group: Group, rows: int, length: int, dtype: jnp.dtype) -> KVCache:
    """An empty cache for `rows` rows.

    In a stack the row axis of every leaf is [N, B / N]. It stays so between programs too: to fold
    it would cost a copy of the cache at every call.
    """
    return deal_cache(group, unfold(group, init_cache(group.config, rows, length, dtype)))


def deal_cache(group: Group, cache: KVCache) -> KVCache:
    """The cache of a group, dealt out over the devices in use."""
    return constrain(cache, CACHE, stacked=group.stacked)


def unfold(group: Group, cache: KVCache) -> KVCache:
    """The row axis [B, ...] of a cache as the group wants it."""
    if not group.stacked:
        return cache
    return jax.tree.map(functools.partial(_split, group.sets), cache)


def fold(group: Group, cache: KVCache) -> KVCache:
    """Undoes `unfold`."""
    return jax.tree.map(_join, cache) if group.stacked else cache


def rows_of(group: Group, cache: KVCache) -> int:
    """How many rows a cache has."""
    shape = cache[0][0].shape
    return shape[0] * shape[1] if group.stacked else shape[0]


def row_index(group: Group, cache: KVCache, rows: jax.Array) -> tuple[jax.Array, ...]:
    """Indexes rows i32[P] of a cache; a row beyond it stays beyond it."""
    if not group.stacked:
        return (rows,)
    each = cache[0][0].shape[1]
    return rows // each, rows % each


def cache_index(group: Group, cache: KVCache, rows: jax.Array, slots: int) -> PyTree:
    """Indexes the first slots of rows i32[P]: for every leaf of a cache what takes them out."""
    found, whole, first = row_index(group, cache, rows), slice(None), slice(slots)
    keys, values = (*found, whole, whole, first), (*found, whole, first)
    return tuple((keys, values) for _ in cache)


def take_rows(group: Group, cache: KVCache, rows: jax.Array) -> KVCache:
    """A cache whose rows are copies of rows i32[P] of another; in a stack P divides evenly."""
    found = row_index(group, cache, rows)
    return unfold(group, jax.tree.map(lambda leaf: leaf[found], cache))


def _split(sets: int, rows: jax.Array) -> jax.Array:
    return rows.reshape(sets, -1, *rows.shape[1:])


def _join(shares: jax.Array) -> jax.Array:
    return shares.reshape(-1, *shares.shape[2:])


def _bank(group: Group, weights: Weights, owners: jax.Array) -> Bank | None:
    """The bank of a group as its rows need it."""
    if weights.bank is None or group.layout != "mixed":
        return weights.bank
    return _with_rows(weights.bank, owners)


def _with_rows(bank: Bank, owners: jax.Array) -> Bank:
    """The bank with the rows' adapters beside every module's factors."""
    if "a" in bank:
        return bank | {"rows": owners}
    return {name: _with_rows(part, owners) for name, part in bank.items()}
