"""Linear combinations of low-rank updates, several at once, in either of the two spaces.

A bank holds N updates `A_n B_n`: a nested dict with "a" [N, in, r] and "b" [N, r, out] per module,
scales folded into "b" and smaller ranks filled up with zeros. In delta space the products are
combined, in factor space the factors: `(sum w A)(sum w B)`, which is not linear in the products.
"""

from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp

PyTree = Any
Space = Literal["factors", "delta"]


def combine(bank: PyTree, weights: jax.Array, space: Space) -> PyTree:
    """A bank of P combinations of N updates, summed in float32, in the factors' own dtype.

    Args:
        bank: of N updates.
        weights: f32[P, N]; nothing is normalised.
        space: "factors" keeps the rank; "delta" has N times the rank, `[A_1 ... A_N]` beside
            `[w_1 B_1; ...; w_N B_N]`.

    Raises:
        ValueError: there is not one weight per update.
    """
    leaves = jax.tree.leaves(bank)
    weights = jnp.asarray(weights, jnp.float32)
    if weights.ndim != 2 or any(leaf.shape[0] != weights.shape[1] for leaf in leaves):
        sizes = sorted({leaf.shape[0] for leaf in leaves})
        raise ValueError(
            f"weights of shape {weights.shape} for a bank of {sizes} updates: pass f32[P, N], one "
            "weight per update in every row"
        )
    if space == "factors":
        return jax.tree.map(lambda leaf: _sums(tuple(leaf), weights), bank)
    return _side_by_side(bank, weights)


def mixtures(trees: Sequence[PyTree], weights: jax.Array) -> PyTree:
    """P linear combinations of N trees: leaves [P, ...], summed in float32, in the trees' dtype.

    Args:
        trees: of one structure, shapes and dtypes.
        weights: f32[P, N]; nothing is normalised.
    """
    weights = jnp.asarray(weights, jnp.float32)
    return jax.tree.map(lambda *leaves: _sums(leaves, weights), *trees)


@jax.jit
def _sums(leaves: tuple[jax.Array, ...], weights: jax.Array) -> jax.Array:
    """[P, ...]: leaf after leaf, so that no accelerator rounds the products to its own liking."""
    total = jnp.zeros((len(weights), *leaves[0].shape), jnp.float32)
    for leaf, column in zip(leaves, weights.T, strict=True):
        total += column.reshape(-1, *[1] * leaf.ndim) * leaf.astype(jnp.float32)
    return total.astype(leaves[0].dtype)


def _side_by_side(bank: PyTree, weights: jax.Array) -> PyTree:
    if "a" not in bank:
        return {name: _side_by_side(part, weights) for name, part in bank.items()}
    a, b = bank["a"], bank["b"]
    count, wide, rank = a.shape
    beside = jnp.moveaxis(a, 0, 1).reshape(wide, count * rank)
    scaled = weights[:, :, None, None] * b.astype(jnp.float32)
    return {
        "a": jnp.broadcast_to(beside, (len(weights), *beside.shape)),
        "b": scaled.reshape(len(weights), count * rank, -1).astype(b.dtype),
    }
