"""How a computation is dealt out while it is traced: over the mesh of `jax.set_mesh`, if any.

Without a mesh (one device) every function here does nothing, so models and loops call them freely.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import PartitionSpec

from moco_jax.models.sharding import AXES, CACHE, MODEL, ROWS, Axes, fitted

PyTree = Any


def constrain(tree: PyTree, axes: Axes = ()) -> PyTree:
    """Asks the compiler to deal out every leaf so; without axes, to keep it whole everywhere."""
    sizes = _sizes()
    if not sizes:
        return tree
    return jax.tree.map(
        lambda leaf: jax.lax.with_sharding_constraint(leaf, fitted(axes, leaf.shape, sizes)), tree
    )


def per_head(function: Callable[..., jax.Array], cache: jax.Array, *arrays: jax.Array) -> jax.Array:
    """`function(*arrays)`, computed on every device for its own rows and heads.

    Rows and heads have nothing to do with each other, but the compiler does not see it where heads
    are flattened or slots are written, and would gather whole caches.

    Args:
        function: maps arrays to one of shape [B, ., ., H].
        cache: [B, C, K, H], says which rows and heads can be dealt out.
        arrays: [B, ., heads, H], or [B, ...] of fewer dimensions and without heads.
    """
    sizes = _sizes()
    if not sizes:
        return function(*arrays)
    rows, _, heads, _ = fitted(CACHE, cache.shape, sizes)
    with_heads, without = PartitionSpec(rows, None, heads), PartitionSpec(rows)
    return jax.shard_map(
        function,
        in_specs=tuple(with_heads if array.ndim == 4 else without for array in arrays),
        out_specs=with_heads,
        axis_names=set(sizes),
        check_vma=False,
    )(*arrays)


def per_member(function: Callable[..., PyTree], *trees: PyTree) -> PyTree:
    """`jax.vmap(function)(*trees)`, where members lie on devices of their own.

    Args:
        function: what is done for one member.
        trees: every leaf has a leading axis of members.
    """
    run = jax.vmap(function)
    sizes, members = _sizes(), len(jax.tree.leaves(trees)[0])
    # Rows lie over both axes, a member's beside each other: so its share of devices is its own
    # where one axis, or both, deal the members out evenly
    for axes in (ROWS, (MODEL,)):
        names = {name for name in axes if sizes.get(name, 1) > 1}
        mine = fitted((axes,), (members,), sizes)
        if mine != PartitionSpec(None):
            return jax.shard_map(
                run, in_specs=mine, out_specs=mine, axis_names=names, check_vma=False
            )(*trees)
    return run(*trees)


def _sizes() -> dict[str, int]:
    """Devices along each axis that is still to be dealt out; empty without a mesh of ours."""
    mesh = jax.sharding.get_abstract_mesh()
    if not set(AXES) <= set(mesh.axis_names):
        return {}
    return {name: size for name, size in mesh.shape.items() if name not in mesh.manual_axes}
