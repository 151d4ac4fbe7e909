"""How a computation is dealt out while it is traced: over the mesh of `jax.set_mesh`, if any.

Without a mesh (one device) every function here does nothing, so models and loops call them freely.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import PartitionSpec

from moco_jax.models.sharding import AXES, CACHE, DATA, MODEL, Axes, fitted

PyTree = Any


def constrain(tree: PyTree, axes: Axes = (), stacked: bool = False) -> PyTree:
    """Asks the compiler to deal out every leaf so.

    Args:
        tree: arrays.
        axes: from `models.sharding`; none keeps the leaves whole on every device.
        stacked: the leading [B] of `axes` stands in the leaves as [N, B / N], of N members.
    """
    sizes = _sizes()

    def deal(leaf: jax.Array) -> jax.Array:
        own = axes
        if stacked:
            # As in `per_member`: members lie over `model` if it divides them, else rows do
            apart = leaf.shape[0] % sizes.get(MODEL, 1) == 0
            own = (MODEL, DATA, *axes[1:]) if apart else (None, *axes)
        return jax.lax.with_sharding_constraint(leaf, fitted(own, leaf.shape, sizes))

    return jax.tree.map(deal, tree) if sizes else tree


def per_head(function: Callable[..., jax.Array], *arrays: jax.Array) -> jax.Array:
    """`function(*arrays)`, computed on every device for its own rows and heads.

    Rows and heads have nothing to do with each other, but the compiler does not see it where heads
    are flattened or slots are written, and would gather whole caches.

    Args:
        function: maps arrays to one of shape [B, heads, ., .].
        arrays: [B, heads, ., .], or [B, ...] of fewer dimensions and without heads; the heads that
            are fewest say whether they can be dealt out.
    """
    sizes = _sizes()
    if not sizes:
        return function(*arrays)
    fewest = min((array.shape for array in arrays if array.ndim == 4), key=lambda shape: shape[1])
    rows, heads, _, _ = fitted(CACHE, fewest, sizes)
    with_heads, without = PartitionSpec(rows, heads), PartitionSpec(rows)
    return jax.shard_map(
        function,
        in_specs=tuple(with_heads if array.ndim == 4 else without for array in arrays),
        out_specs=with_heads,
        axis_names=set(sizes),
        check_vma=False,
    )(*arrays)


def per_member(function: Callable[..., PyTree], *trees: PyTree) -> PyTree:
    """`jax.vmap(function)(*trees)`, with members on devices of their own where they divide evenly.

    Args:
        function: what is done for one member.
        trees: every leaf has a leading axis of members.
    """
    run = jax.vmap(function)
    apart = fitted((MODEL,), jax.tree.leaves(trees)[0].shape, _sizes())
    if apart == PartitionSpec(None):
        return run(*trees)
    return jax.shard_map(run, in_specs=apart, out_specs=apart, axis_names={MODEL}, check_vma=False)(
        *trees
    )


def _sizes() -> dict[str, int]:
    """Devices along each axis that is still to be dealt out; empty without a mesh of ours."""
    mesh = jax.sharding.get_abstract_mesh()
    if not set(AXES) <= set(mesh.axis_names):
        return {}
    return {name: size for name, size in mesh.shape.items() if name not in mesh.manual_axes}
