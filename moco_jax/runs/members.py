"""The members of a run: known by their files first, loaded when there is something to compute."""

from collections.abc import Mapping, Sequence

import jax.numpy as jnp

from moco_jax.decoding.hooks import Store
from moco_jax.decoding.keys import digest
from moco_jax.decoding.placement import Placement
from moco_jax.decoding.residency import Residency, host_memory, to_device
from moco_jax.decoding.types import several
from moco_jax.method import Method, TaskInfo
from moco_jax.methods.helpers import Helpers
from moco_jax.models.identity import VERSION
from moco_jax.pool import MemberInfo, Pool, default_dtype, in_bank, inspect_all
from moco_jax.runs.resolved import PACKAGE, package_version


class Members:
    """A pool whose weights are read when they are first needed, and then kept.

    Attributes:
        infos: what is known before weights are read, in order.
        dtype: name of the weights' type.
        helpers: what is known of models that methods use beside them.
        residency: brings weights from host memory where they are kept there, else None.
    """

    def __init__(
        self,
        pool: Pool | str | Sequence[str],
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
            self.infos = inspect_all(several(pool))
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
        self.helpers = Helpers(self.infos)

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

    def check(self, method: Method, task: TaskInfo) -> dict[str, MemberInfo]:
        """What is known of a method's helpers, by role, once it goes with pool and task.

        Raises:
            NeedsError: it does not; no weights are read.
        """
        method.needs.check_dtype(method.name, self.dtype)
        method.check(self.infos, task)
        return self.helpers.of(method)

    def load(self, store: Store) -> Pool:
        """The pool with its weights; their identities are noted for the next time."""
        if self._pool is None:
            if self.residency is None:
                self._pool = Pool.of(self.infos, self.dtype, self._placement)
            else:
                with host_memory():
                    self._pool = Pool.of(self.infos, self.dtype)
            for info, member in zip(self.infos, self._pool, strict=True):
                store.put(self._key(info), {"identity": member.identity})
        return self._pool

    def identities(self, store: Store) -> list[str]:
        """Identities in order; weights whose files have not changed since are not read for it."""
        if self._pool is None:
            records = [store.get(self._key(info)) for info in self.infos]
            found = [record["identity"] for record in records if record is not None]
            if len(found) == len(records):
                return found
        return [member.identity for member in self.load(store)]

    def helper_identities(
        self, names: Mapping[str, str], found: Mapping[str, MemberInfo], store: Store
    ) -> list[tuple[str, str, str]]:
        """(role, name, identity) of a method's helpers, by content, as of members.

        Args:
            names: of the helpers, by role.
            found: what is known of them, by role.
            store: notes the identities of those whose weights have to be read for it.
        """
        own = dict(zip(self.infos, self.identities(store), strict=True))
        identities = []
        for role, info in found.items():
            identity = own.get(info) or self._helper_identity(names[role], info, store)
            identities.append((role, names[role], identity))
        return identities

    def _helper_identity(self, name: str, info: MemberInfo, store: Store) -> str:
        record = store.get(self._key(info))
        if record is None:
            found = self.load(store).with_helpers({name: info}).find(name)
            record = {"identity": found.identity}
            store.put(self._key(info), record)
        return str(record["identity"])

    def _key(self, info: MemberInfo) -> str:
        # An adapter in a bank is another model than one that is merged into its base
        bank = info in self.infos and in_bank(info, self.infos)
        return files_key(info.files_state(), f"{self.dtype} in a bank" if bank else self.dtype)


def files_key(files: Sequence[object], dtype: str) -> str:
    """The store's key for the identity of weights that are read from files of this state."""
    return digest("identity", package_version(PACKAGE), VERSION, dtype, files)
