"""Randomness and cache keys: both are digests of everything that determines a text."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

ENGINE_VERSION = 8
"""Raise it when the same request may come out as other bytes."""


def digest(*parts: Any) -> str:
    """sha256 (hex) of JSON-able parts; integer arrays count as lists."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be part of a key")


def row_key(*parts: Any) -> np.ndarray:
    """Threefry key data u32[2] made from a digest of `parts`."""
    return np.frombuffer(bytes.fromhex(digest(*parts))[:8], np.uint32).copy()


def step_keys(key_data: jax.Array, steps: jax.Array) -> jax.Array:
    """Keys [B] for the rows' own token indices i32[B] from key data u32[B, 2].

    Threefry: the same draws whatever the batch size, unlike hardware generators.
    """
    keys = jax.random.wrap_key_data(key_data, impl="threefry2x32")
    return jax.vmap(jax.random.fold_in)(keys, steps)


def occurrences(counts: dict[str, int], names: Sequence[str], order: Sequence[int]) -> list[int]:
    """How often each name was met before, counting through `order`; updates `counts`."""
    met = [0] * len(names)
    for index in order:
        met[index] = counts.get(names[index], 0)
        counts[names[index]] = met[index] + 1
    return met
