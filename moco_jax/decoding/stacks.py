"""Joined members of one architecture as one stack of weights, each on devices of its own."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from moco_jax.decoding.groups import Group, Weights

PyTree = Any


def alike(trees: Sequence[PyTree]) -> bool:
    """Whether trees have the same leaves, in shape and dtype, and so can be stacked."""
    shapes = [jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype)), tree) for tree in trees]
    return all(shape == shapes[0] for shape in shapes)


def stack_shapes(trees: Sequence[PyTree]) -> PyTree:
    """What the stack of `trees` will look like: every leaf [M, ...] of M trees."""

    def shape(leaf: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((len(trees), *leaf.shape), leaf.dtype)

    return jax.tree.map(shape, trees[0])


def stack_onto(mesh: Mesh, specs: PyTree, trees: Sequence[PyTree]) -> PyTree:
    """Stacks trees straight onto the devices that are to hold the parts; none holds it whole.

    Args:
        mesh: the devices.
        specs: how each leaf of the stack is cut.
        trees: one per member, on the mesh or in host memory.
    """
    shardings = jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs)
    if all(_lies_on(mesh, leaf) for leaf in jax.tree.leaves(trees)):
        # Every device has its part of every member already, so nothing moves between devices
        return jax.jit(_stack, out_shardings=shardings)(*trees)
    return jax.tree.map(_stack_host, shardings, *trees)


class LastStack:
    """The stack that was placed last: calls of one method come with the same members again.

    It is the only one kept, for it holds a second copy of its members' weights.
    """

    def __init__(self, put: Callable[[Group, Weights], Weights]):
        """Starts with none; `put` makes one."""
        self._put = put
        # The members' own trees are kept too, so that the ids of their arrays stay theirs
        self._held: tuple[Weights, Weights] | None = None

    def weights(self, group: Group, members: Weights) -> Weights:
        """The stack of some members: the last one if it is of the same arrays."""
        if self._held is None or arrays_of(self._held[0]) != arrays_of(members):
            self._held = None
            self._held = members, self._put(group, members)
        return self._held[1]


def arrays_of(tree: PyTree) -> tuple[int, ...]:
    """What tells a tree of arrays from others while it is held: the ids of its leaves."""
    return tuple(map(id, jax.tree.leaves(tree)))


def _stack(*trees: PyTree) -> PyTree:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _stack_host(sharding: NamedSharding, *leaves: Any) -> jax.Array:
    wholes = [np.asarray(leaf) for leaf in leaves]

    def part(index: tuple[slice, ...] | None) -> np.ndarray:
        index = index or (slice(None),)
        return np.stack([whole[index[1:]] for whole in wholes[index[0]]])

    return jax.make_array_from_callback((len(wholes), *wholes[0].shape), sharding, part)


def _lies_on(mesh: Mesh, leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and leaf.sharding.device_set == set(mesh.devices.flat)
