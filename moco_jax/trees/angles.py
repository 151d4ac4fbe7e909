"""How task vectors lie to each other: nearly parallel ones have a base they did not come from."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from moco_jax.trees.tiled import inner_products

PyTree = Any

PARALLEL = 0.75
"""Mean cosine from which task vectors count as nearly parallel.

Where the base is an ancestor of the model they were tuned from, all vectors share the way between
the two, and the cosine is that way's share of their squared lengths: at 0.75 three quarters of what
is merged is not the members' own. Models tuned apart from one base lie far below: the three tiny
experts at 0.22 over the model they were tuned from, and at 0.89 over an ancestor of it."""


def task_vector_products(trees: Sequence[PyTree], base: PyTree) -> np.ndarray:
    """Inner products f64[N, N] of what N trees changed in a base; float32 within a leaf."""
    total = np.zeros((len(trees), len(trees)))
    for leaves in zip(*map(jax.tree.leaves, (*trees, base)), strict=True):
        total += np.asarray(_products(leaves[:-1], leaves[-1]), float)
    return total


@jax.jit
def _products(leaves: tuple[jax.Array, ...], base: jax.Array) -> jax.Array:
    start = base.astype(jnp.float32)
    vectors = jnp.stack([leaf.astype(jnp.float32) - start for leaf in leaves])
    return inner_products(vectors.reshape(len(leaves), -1))


def mean_cosine(products: np.ndarray) -> float | None:
    """Mean cosine of all pairs, from their inner products; None without a pair of nonzero ones."""
    norms = np.sqrt(np.diagonal(products))
    kept = np.flatnonzero(norms)
    if len(kept) < 2:
        return None
    cosines = products[np.ix_(kept, kept)] / np.outer(norms[kept], norms[kept])
    return float(cosines[np.triu_indices(len(kept), 1)].mean())
