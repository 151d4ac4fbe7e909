"""Merging many parameter trees into one, one leaf at a time.

The unit is a function of one leaf; whoever holds the trees (in memory, or leaf by leaf from disk)
calls it for every leaf.
"""

import functools
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from moco_jax.trees.layerwise import Layerwise

PyTree = Any
Merge = Callable[..., jax.Array]
"""`(leaf f32[N, ...], base f32[...] or None, key) -> f32[...]`, pure and jit-able."""


def leaf_key(key: jax.Array, path: str) -> jax.Array:
    """The key of one leaf, by its name, so that it draws the same whatever other leaves there are.

    Args:
        key: `jax.random.key` of the whole merge.
        path: as in "layers_0/mlp/up_proj/kernel".
    """
    return jax.random.fold_in(key, zlib.crc32(path.encode()))


def merge_leaf(
    merge: Merge,
    leaves: Sequence[jax.Array],
    base: jax.Array | None,
    key: jax.Array,
    path: str,
    weights: jax.Array | None = None,
) -> jax.Array:
    """Merges one leaf of N trees in float32 and gives the result in the leaves' dtype.

    Args:
        merge: the function.
        leaves: N arrays of one shape.
        base: the base model's leaf, or None.
        key: of the whole merge; the leaf's own key is folded from it by `path`.
        path: names the leaf.
        weights: f32[N] to call a `TiledMerge` with.

    Raises:
        ValueError: the result has another shape than a leaf.
    """
    stacked = jnp.stack([jnp.asarray(leaf, jnp.float32) for leaf in leaves])
    wide = None if base is None else jnp.asarray(base, jnp.float32)
    extra = () if weights is None else (weights,)
    merged = merge(stacked, wide, leaf_key(key, path), *extra)
    if jnp.shape(merged) != stacked.shape[1:]:
        raise ValueError(
            f"merging {path} gave shape {jnp.shape(merged)}; a merge function takes "
            f"[N, ...] = {stacked.shape} and returns one leaf, {stacked.shape[1:]}"
        )
    return merged.astype(leaves[0].dtype)


def merge_trees(
    merge: Merge | Layerwise,
    trees: Sequence[PyTree],
    base: PyTree | None,
    key: jax.Array,
    weights: jax.Array | None = None,
) -> PyTree:
    """Merges trees of one structure leaf by leaf.

    Args:
        merge: the function of one leaf, compiled once per shape; or one for each layer.
        trees: N trees of one structure, shapes and dtypes.
        base: a tree like these, or None.
        key: `jax.random.key` behind all leaves.
        weights: f32[N] in place of those of a `TiledMerge`; other numbers compile nothing.

    Raises:
        ValueError: there are no trees, or the function returns a wrong shape.
    """
    if not trees:
        raise ValueError("there are no trees to merge; pass at least one")

    def one(path: Any, *leaves: jax.Array) -> jax.Array:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        rule = merge.at(name) if isinstance(merge, Layerwise) else merge
        rule = compiled(rule)
        if base is None:
            return merge_leaf(rule, leaves, None, key, name, weights)
        return merge_leaf(rule, leaves[:-1], leaves[-1], key, name, weights)

    others = list(trees[1:]) + ([] if base is None else [base])
    return jax.tree_util.tree_map_with_path(one, trees[0], *others)


@functools.lru_cache(maxsize=64)
def compiled(merge: Merge) -> Merge:
    """The function, jitted."""
    return jax.jit(merge)
