"""The members of a run: known by their files first, loaded when there is something to compute."""

import pathlib
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from moco_jax.decoding.hooks import Store
from moco_jax.decoding.keys import digest
from moco_jax.decoding.placement import Placement
from moco_jax.decoding.residency import Residency, host_memory, to_device
from moco_jax.models.checkpoint_files import fetch
from moco_jax.models.identity import VERSION
from moco_jax.pool import MemberInfo, Pool, default_dtype, in_bank, inspect_all
from moco_jax.runs.resolved import PACKAGE, package_version


class Members:
    """A pool whose weights are read when they are first needed, and then kept.

    Attributes:
        infos: what is known before weights are read, in order.
        dtype: name of the weights' type.
        residency: brings weights from host memory where they are kept there, else None.
    """

    def __init__(
        self,
        pool: Pool | Sequence[str],
        dtype: str | None = None,
        placement: Placement | None = None,
    ):
        """Takes a loaded pool, or sources whose configs and tokenizers are read now.

        Args:
            pool: either.
            dtype: of the weights.
            placement: the devices that weights are cut over when they are read.

        Raises:
            ValueError: a source cannot be loaded, or `dtype` is not that of the loaded pool.
        """
        self._pool: Pool | None = None
        self.residency: Residency | None = None
        self._placement = placement
        if not isinstance(pool, Pool):
            self.infos = inspect_all(pool)
            self.dtype = str(jnp.dtype(dtype) if dtype else default_dtype())
        else:
            self._pool = pool
            self.infos = [member.info for member in pool]
            self.dtype = pool[0].dtype
            if dtype is not None and dtype != self.dtype:
                raise ValueError(
                    f"dtype is {dtype!r}, but the pool was loaded in {self.dtype}; "
                    "pass dtype= to Pool.load instead"
                )

    @property
    def loaded(self) -> bool:
        """Whether the weights were read already."""
        return self._pool is not None

    def offload(self, budget: int) -> None:
        """Keeps weights in host memory until a program needs them.

        Args:
            budget: bytes of weights that each device may hold.

        Raises:
            ValueError: they were read already.
        """
        if self._pool is not None:
            raise ValueError(
                "offload has no effect on a pool that is loaded already; pass the members' names"
            )
        placement = self._placement or Placement()
        self.residency = Residency(budget, placement.weights if placement.mesh else to_device)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(info.name for info in self.infos)

    def load(self, store: Store) -> Pool:
        """The pool with its weights; their identities are noted for the next time."""
        if self._pool is None:
            if self.residency is None:
                self._pool = Pool.of(self.infos, self.dtype, self._placement)
            else:
                with host_memory():
                    self._pool = Pool.of(self.infos, self.dtype)
            for key, member in zip(self._keys(), self._pool, strict=True):
                store.put(key, {"identity": member.identity})
        return self._pool

    def identities(self, store: Store) -> list[str]:
        """Identities in order; weights whose files have not changed since are not read for it."""
        if self._pool is None:
            records = [store.get(key) for key in self._keys()]
            found = [record["identity"] for record in records if record is not None]
            if len(found) == len(records):
                return found
        return [member.identity for member in self.load(store)]

    def _keys(self) -> list[str]:
        return [_files_key(info, self.dtype, in_bank(info, self.infos)) for info in self.infos]


def _files_key(info: MemberInfo, dtype: str, bank: bool) -> str:
    places = [fetch(info.path)] + ([pathlib.Path(info.adapter)] if info.adapter else [])
    # An adapter in a bank is another member than one that is merged into its base
    return files_key(places, f"{dtype} in a bank" if bank else dtype)


def files_key(places: Sequence[pathlib.Path], dtype: str) -> str:
    """The store's key for the identity of weights that stand in these directories."""
    files = [_files(place) for place in places]
    return digest("identity", package_version(PACKAGE), VERSION, dtype, files)


def _files(directory: pathlib.Path) -> list[Any]:
    """Path, size and time of change of every file of a checkpoint."""
    found = [(file, file.stat()) for file in sorted(directory.iterdir()) if file.is_file()]
    return [[str(file.resolve()), stat.st_size, stat.st_mtime_ns] for file, stat in found]
