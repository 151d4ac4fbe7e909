"""Several processes, one run: process 0 reads and writes, and tells the others what it found.

The out directory has to be one that all processes see: a fitted system is read by each of them.
"""

import contextlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from moco_jax.decoding.hooks import Store
from moco_jax.runs.store import FILE_NAME, SqliteStore


def join_processes(coordinator: str, count: int, index: int) -> None:
    """Makes this process one of several that run the same program.

    To be called before anything else of JAX is used. One process alone needs no joining, and
    nothing is done.

    Args:
        coordinator: "host:port" where process 0 listens, the same for all.
        count: how many processes there are.
        index: which of them this is, from 0.

    Raises:
        ValueError: the three do not go together.
    """
    if count < 1 or not 0 <= index < count:
        raise ValueError(f"there is no process {index} of {count}: they count from 0")
    if count == 1:
        return
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(
            f"{count} processes find each other at HOST:PORT of process 0, not at {coordinator!r}"
        )
    jax.distributed.initialize(coordinator, num_processes=count, process_id=index)


def join_cluster() -> None:
    """Joins the processes that the cluster has started: a TPU pod, SLURM or Open MPI.

    To be called before anything else of JAX is used.

    Raises:
        RuntimeError: no cluster that JAX knows is around.
    """
    try:
        jax.distributed.initialize()
    except ValueError as error:
        raise RuntimeError(
            "no TPU pod, SLURM or Open MPI job is to be seen from here; say where the processes "
            "are by --coordinator, --processes and --process, or start one process without "
            f"--distributed ({error})"
        ) from error


def leads() -> bool:
    """Whether this process is the one that writes."""
    return jax.process_index() == 0


def agreed(value: Any) -> Any:
    """Process 0's value, in every process; JSON values only. All must call it at the same place."""
    if jax.process_count() == 1:
        return value
    from jax.experimental import multihost_utils

    told = np.frombuffer(json.dumps(value).encode(), np.uint8)
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(told))))
    room = np.zeros(length, np.uint8)
    if leads():
        room[:] = told
    return json.loads(bytes(np.asarray(multihost_utils.broadcast_one_to_all(room))))


class SharedStore:
    """A store that process 0 has and all processes see alike.

    Every process has to ask for the same keys in the same order, which the same host program does.
    """

    def __init__(self, store: Store | None):
        self._store = store

    def get(self, key: str) -> dict[str, Any] | None:
        """What process 0 finds under `key`."""
        return agreed(None if self._store is None else self._store.get(key))

    def put(self, key: str, record: dict[str, Any]) -> None:
        """Keeps a record, in process 0 alone."""
        if self._store is not None:
            self._store.put(key, record)


@contextlib.contextmanager
def store_of(out: str | pathlib.Path) -> Iterator[Store]:
    """The store of an out directory; with several processes only the first opens it."""
    if not leads():
        yield SharedStore(None)
        return
    with SqliteStore(pathlib.Path(out) / FILE_NAME) as store:
        yield SharedStore(store) if jax.process_count() > 1 else store
