"""Which members' weights are on the devices now, where there is no room for all of them.

The others wait in host memory. Before a program runs, the weights it needs are put onto the
devices, and those that were used longest ago make room.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
from absl import logging

from moco_jax.decoding.groups import Group, Weights
from moco_jax.decoding.stacks import arrays_of

PyTree = Any
Put = Callable[[Group, Weights], Weights]


def to_device(group: Group, weights: Weights) -> Weights:
    """Puts weights whole onto the first device of this process."""
    del group
    return jax.device_put(weights, jax.local_devices()[0])


def host_memory() -> contextlib.AbstractContextManager[Any]:
    """While it is entered, arrays are made in host memory."""
    return jax.default_device(jax.local_devices(backend="cpu")[0])


class Residency:
    """Weights on the devices, the least recently used ones dropped first.

    Attributes:
        budget: most bytes of weights there, unless one program alone needs more.
        resident: bytes there now.
    """

    def __init__(self, budget: int, put: Put = to_device):
        """Starts with nothing on the devices.

        Args:
            budget: in bytes.
            put: brings host arrays to where a program wants them.
        """
        self.budget = budget
        self._put = put
        # By the arrays' ids, which stay valid since the host's trees are kept beside
        self._held: dict[tuple[int, ...], tuple[Weights, Weights]] = {}

    @property
    def resident(self) -> int:
        """Bytes on the devices."""
        return sum(size(there) for _, there in self._held.values())

    def weights(self, groups: Sequence[Group], weights: Sequence[Weights]) -> tuple[Weights, ...]:
        """The weights of a program's groups, on the devices.

        Args:
            groups: the groups.
            weights: theirs, on the host; a tree that comes again is known by its arrays.
        """
        keys = [arrays_of(host) for host in weights]
        wanted = dict(zip(keys, weights, strict=True))
        for key in [key for key in self._held if key in wanted]:
            self._held[key] = self._held.pop(key)
        absent = sum(size(host) for key, host in wanted.items() if key not in self._held)
        for key in [key for key in self._held if key not in wanted]:
            if self.resident + absent <= self.budget:
                break
            del self._held[key]
        if self.resident + absent > self.budget:
            logging.warning(
                "one program needs %d bytes of weights at once, more than the %d set aside",
                self.resident + absent,
                self.budget,
            )
        for key, group, host in zip(keys, groups, weights, strict=True):
            if key not in self._held:
                self._held[key] = host, self._put(group, host)
        return tuple(self._held[key][1] for key in keys)


def size(tree: PyTree) -> int:
    """Bytes of a tree's arrays."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))
