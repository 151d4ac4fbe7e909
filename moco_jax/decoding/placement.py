"""Which devices hold what: one place to ask, whether there is one device or many processes of them.

Without a mesh everything stays on the default device, so that the same code runs on one CPU.
"""

import contextlib
import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from absl import logging
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from moco_jax.decoding.groups import Group, Weights
from moco_jax.decoding.stacks import stack_onto, stack_shapes
from moco_jax.models.config import ModelConfig
from moco_jax.models.sharding import AXES, param_specs, undivided

PyTree = Any
Item = TypeVar("Item")


def make_mesh(model: int = 1, data: int = -1, tensor: int = 1) -> Mesh:
    """All devices of all processes in a grid with the axes `model`, `data` and `tensor`.

    Args:
        model: how many shares the members of a population are dealt out to.
        data: how many shares the rows are dealt out to; -1 takes the devices that are left.
        tensor: over how many devices each member is cut.

    Raises:
        ValueError: the sizes do not fit the devices.
    """
    devices = jax.devices()
    sizes = (model, data, tensor)
    if min(model, tensor) < 1 or data == 0 or data < -1:
        raise ValueError(
            f"a mesh of {_said(sizes)} makes no sense: each size is at least 1, and data may be -1 "
            "for the devices that are left"
        )
    if data == -1:
        sizes = (model, len(devices) // (model * tensor), tensor)
    if math.prod(sizes) != len(devices):
        raise ValueError(
            f"a mesh of {_said((model, data, tensor))} does not fit {len(devices)} devices: the "
            "sizes multiply to their number, or data=-1 takes what model and tensor leave, where "
            "their product divides it"
        )
    return jax.make_mesh(sizes, AXES, axis_types=(AxisType.Auto,) * 3)


def read_sizes(text: str) -> dict[str, int]:
    """The sizes that "model=2,data=4,tensor=1" names; what is left out has its default.

    Raises:
        ValueError: an axis is unknown or named twice, or its size is no whole number.
    """
    sizes: dict[str, int] = {}
    for part in filter(None, text.replace(" ", "").split(",")):
        name, _, size = part.partition("=")
        if name not in AXES or name in sizes or not size.lstrip("-").isdigit():
            raise ValueError(
                f"cannot read {part!r} in the mesh {text!r}: write each of {', '.join(AXES)} at "
                "most once, as in model=2,data=4,tensor=1"
            )
        sizes[name] = int(size)
    return sizes


@dataclasses.dataclass(frozen=True)
class Placement:
    """Puts arrays where they belong.

    Attributes:
        mesh: from `make_mesh`; None is the default device.
    """

    mesh: Mesh | None = None

    @classmethod
    def of(cls, sizes: str | None) -> "Placement":
        """The mesh that a text names, see `read_sizes`, of all devices; None is one device."""
        return cls() if sizes is None else cls(make_mesh(**read_sizes(sizes)))

    @property
    def sizes(self) -> Mapping[str, int]:
        """Devices along each axis of the mesh."""
        return {} if self.mesh is None else dict(self.mesh.shape)

    def active(self) -> contextlib.AbstractContextManager[Any]:
        """While it is entered, computations are dealt out over the mesh.

        Enter it around calls of compiled functions only, never around a `yield`.
        """
        return contextlib.nullcontext() if self.mesh is None else jax.set_mesh(self.mesh)

    def loading(self) -> contextlib.AbstractContextManager[Any]:
        """While it is entered, weights are made in host memory, if they are to be cut later."""
        if self.mesh is None:
            return contextlib.nullcontext()
        return jax.default_device(jax.local_devices(backend="cpu")[0])

    def params(self, config: ModelConfig, params: PyTree, stacked: bool = False) -> PyTree:
        """A member's weights, or those of a bank, cut by the rules of `models.sharding`.

        Args:
            config: the architecture.
            params: whole arrays, the same in every process.
            stacked: every leaf has a leading axis of members, dealt out over `model`.
        """
        if self.mesh is None:
            return params
        _warn_of_undivided(config, self.sizes["tensor"])
        specs = param_specs(config, params, self.sizes, stacked)
        return jax.tree.map(functools.partial(_put, self.mesh), params, specs)

    def weights(self, group: Group, weights: Weights) -> Weights:
        """The arrays of a group where they belong; those that are there already stay."""
        if self.mesh is None:
            return weights
        if isinstance(weights.params, tuple):
            return Weights(self._stack(self.mesh, group.config, weights.params))
        params = self.params(group.config, weights.params, stacked=group.stacked)
        bank = weights.bank and self.params(group.config, weights.bank)
        return Weights(params, bank)

    def _stack(self, mesh: Mesh, config: ModelConfig, members: tuple[PyTree, ...]) -> PyTree:
        """Members as one stack, every device with its own."""
        _warn_of_undivided(config, self.sizes["tensor"])
        specs = param_specs(config, stack_shapes(members), self.sizes, stacked=True)
        return stack_onto(mesh, specs, members)

    def steps(self, work: Iterator[Item]) -> Iterator[Item]:
        """Passes `work` on, with the mesh in use while an item is computed and at no other time."""
        while True:
            with self.active():
                try:
                    item = next(work)
                except StopIteration:
                    return
            yield item


@functools.lru_cache
def _warn_of_undivided(config: ModelConfig, parts: int) -> None:
    """Says what stays whole; once per architecture."""
    kept = undivided(config, parts)
    if kept:
        logging.warning(
            "tensor=%d does not divide %s: what belongs to them is whole on every device",
            parts,
            " and ".join(kept),
        )


def _put(mesh: Mesh, leaf: Any, spec: PartitionSpec) -> jax.Array:
    sharding = NamedSharding(mesh, spec)
    if sharding.is_fully_addressable or not getattr(leaf, "is_fully_addressable", True):
        return jax.device_put(leaf, sharding)
    # Other processes hold parts of it: each cuts its own out of its copy
    whole = np.asarray(leaf)
    return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])


def _said(sizes: Sequence[int]) -> str:
    return ",".join(f"{name}={size}" for name, size in zip(AXES, sizes, strict=True))
