"""Sums and means of parameter trees: float32 inside, the trees' own dtypes outside.

Nothing is normalised implicitly. Leaves are combined one after another, so that no more than one
float32 leaf is held besides the result.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

PyTree = Any


@jax.jit
def _weighted_sum(leaves: tuple[jax.Array, ...], weights: jax.Array) -> jax.Array:
    total = sum(
        weight * leaf.astype(jnp.float32) for leaf, weight in zip(leaves, weights, strict=True)
    )
    return total.astype(leaves[0].dtype)


def weighted_sum(trees: Sequence[PyTree], weights: Sequence[float] | jax.Array) -> PyTree:
    """`sum_i weights[i] * trees[i]`, whatever the weights add up to.

    Args:
        trees: of one structure, shapes and dtypes.
        weights: f32[N], one per tree.

    Raises:
        ValueError: there are no trees, or not as many weights.
    """
    weights = jnp.asarray(weights, jnp.float32)
    if not trees or weights.shape != (len(trees),):
        raise ValueError(
            f"{len(trees)} trees and weights of shape {weights.shape}: pass one weight per tree, "
            "and at least one tree"
        )
    return jax.tree.map(lambda *leaves: _weighted_sum(leaves, weights), *trees)


@jax.jit
def _mean(leaves: tuple[jax.Array, ...]) -> jax.Array:
    total = sum((leaf.astype(jnp.float32) for leaf in leaves), jnp.zeros(()))
    return (total / len(leaves)).astype(leaves[0].dtype)


def mean(trees: Sequence[PyTree]) -> PyTree:
    """The uniform average of trees of one structure (a model soup, arXiv 2203.05482)."""
    if not trees:
        raise ValueError("the mean of no trees is not defined; pass at least one")
    return jax.tree.map(lambda *leaves: _mean(leaves), *trees)
