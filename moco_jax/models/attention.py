"""Attention over keys that lie where they were written: masks, cache writes, the products.

B rows, S queries, T keys, C cache slots, N query heads, K key-value heads, H dimensions of a head.

Keys lie as [B, K, H, T] and values as [B, K, T, H]: both products of a step then run along memory
as it lies, with nothing turned first (`experiments/bench_attention.py` has other ways beside it).
"""

import jax
import jax.numpy as jnp


def causal_mask(queries: jax.Array, keys: jax.Array, window: int | None) -> jax.Array:
    """Who sees whom: bool[B, S, T] from positions i32[B, S] and i32[B or 1, T]."""
    queries, keys = queries[:, :, None], keys[:, None, :]
    seen = (keys >= 0) & (keys <= queries)
    return seen if window is None else seen & (keys > queries - window)


def write_keys(cache: jax.Array, slots: jax.Array, new: jax.Array) -> jax.Array:
    """Puts new [B, K, S, H] at slots i32[B, S] of cache [B, K, H, C]; drops those beyond C."""
    rows, slots, new = _updates(slots, new, cache.shape[3])
    return cache.at[rows, :, :, slots].set(new.astype(cache.dtype), mode="drop")


def write_values(cache: jax.Array, slots: jax.Array, new: jax.Array) -> jax.Array:
    """Puts new [B, K, S, H] at slots i32[B, S] of cache [B, K, C, H]; drops those beyond C."""
    rows, slots, new = _updates(slots, new, cache.shape[2])
    return cache.at[rows, :, slots].set(new.astype(cache.dtype), mode="drop")


def _updates(
    slots: jax.Array, new: jax.Array, capacity: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Rows [B, 1], slots [B, S] and what is written there [B, S, K, H]."""
    if slots.size == 1:
        # XLA makes a lone write a slice update, fuses that with its readers and copies the cache
        # for each; a second write that is dropped keeps it a scatter, done in place
        slots = jnp.pad(slots, ((0, 0), (0, 1)), constant_values=capacity)
        new = jnp.pad(new, ((0, 0), (0, 0), (0, 1), (0, 0)))
    return jnp.arange(len(slots))[:, None], slots, new.swapaxes(1, 2)


def attend(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array,
    scale: float,
    softcap: float | None,
) -> jax.Array:
    """Attention with grouped heads; keys and values are read as they lie, never repeated.

    Args:
        query: [B, N, S, H]; query head n belongs to key-value head n // (N / K).
        key: [B, K, H, T].
        value: [B, K, T, H].
        mask: bool[B, S, T].
        scale: multiplies the dot products.
        softcap: c in c * tanh(x / c) on the scaled dot products, or None.

    Returns:
        [B, N, S, H] in the dtype of `value`; a query that sees nothing gets a meaningless mean.
    """
    b, n, s, h = query.shape
    kv = key.shape[1]
    grouped = query.reshape(b, kv, n // kv * s, h)
    logits = jnp.einsum("bkqh,bkht->bkqt", grouped, key, preferred_element_type=jnp.float32)
    logits = softcapped(logits * scale, softcap).reshape(b, n, s, -1)
    weights = _softmax(logits, mask[:, None]).reshape(b, kv, n // kv * s, -1)
    mixed = jnp.einsum("bkqt,bkth->bkqh", weights.astype(value.dtype), value)
    return mixed.reshape(b, n, s, h)


def _softmax(logits: jax.Array, mask: jax.Array) -> jax.Array:
    """Softmax over the last axis; a finite floor keeps rows that see nothing free of NaN."""
    return jax.nn.softmax(jnp.where(mask, logits, jnp.finfo(logits.dtype).min), axis=-1)


def softcapped(x: jax.Array, cap: float | None) -> jax.Array:
    """Squeezes x smoothly into (-cap, cap); None leaves it."""
    return x if cap is None else cap * jnp.tanh(x / cap)
