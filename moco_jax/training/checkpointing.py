"""Where training stands on disk: the state and the place in the data, in one orbax checkpoint."""

import pathlib
from typing import Any, Protocol

import jax
import numpy as np
import orbax.checkpoint as ocp


class Resumable(Protocol):
    """A data iterator whose place can be saved, such as grain's."""

    def get_state(self) -> Any:
        """Where it stands."""

    def set_state(self, state: Any) -> None:
        """Puts it where `get_state` said."""


class Checkpoints:
    """Saves and restores (state, data iterator) pairs under one directory.

    A save is atomic: a process killed in the middle of one finds the one before.
    """

    def __init__(self, directory: str | pathlib.Path, keep: int = 2):
        self._manager = ocp.CheckpointManager(
            pathlib.Path(directory).absolute(),
            options=ocp.CheckpointManagerOptions(max_to_keep=keep, create=True),
        )

    @property
    def latest(self) -> int | None:
        """Step of the newest checkpoint, None where there is none."""
        return self._manager.latest_step()

    def save(self, step: int, state: Any, data: Resumable) -> None:
        """Writes a checkpoint and waits for it."""
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state),
                data=ocp.args.JsonSave({"iterator": _pack(data.get_state())}),
            ),
        )
        self._manager.wait_until_finished()

    def restore(self, state: Any, data: Resumable) -> Any:
        """The newest state, bit for bit; `data` is put where it stood.

        Args:
            state: a state of the same shapes and dtypes, such as the one before the first step.
            data: a fresh iterator over the same dataset.
        """
        shapes = jax.tree.map(ocp.utils.to_shape_dtype_struct, state)
        found = self._manager.restore(
            self.latest,
            args=ocp.args.Composite(
                state=ocp.args.StandardRestore(shapes), data=ocp.args.JsonRestore()
            ),
        )
        data.set_state(found["data"]["iterator"])
        return found["state"]

    def close(self) -> None:
        """Waits for writes and frees the manager's threads."""
        self._manager.close()


def _pack(state: Any) -> Any:
    """A grain iterator's state, a tree of numbers, as JSON values."""
    return jax.tree.map(lambda leaf: leaf.item() if isinstance(leaf, np.generic) else leaf, state)
