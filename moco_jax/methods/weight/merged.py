"""The system of every weight method: one member made from several, saved as a checkpoint."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import jax

from moco_jax.decoding.types import Response
from moco_jax.pool import Member, inspect
from moco_jax.system import Context, System
from moco_jax.tasks import Item

FOLDER = "model"
"""Where the checkpoint stands in the system's directory."""


@dataclasses.dataclass(frozen=True)
class Merged(System):
    """One merged member answers everything.

    Attributes:
        member: the member.
        name: what it is called.
        identity: its hash or recipe, so that its answers are known when it is loaded again.
        dtype: of its weights.
        notes: (name, JSON value) pairs about how it was made.
        draws: so that it draws the same when it is loaded again.
    """

    member: Member = dataclasses.field(metadata={"json": False}, repr=False)
    name: str
    identity: str
    dtype: str
    notes: tuple[tuple[str, Any], ...] = ()
    draws: str = ""

    @classmethod
    def of(cls, member: Member, **notes: Any) -> "Merged":
        """The system of a member; `notes` are JSON values."""
        dtype = str(jax.tree.leaves(member.params)[0].dtype)
        found = tuple(notes.items())
        return cls(member, member.name, member.identity, dtype, found, member.draws)

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """The merged member's answer to every item."""
        notes = (("chosen", self.name),)
        return [r.replace(notes=notes) for r in context.answer(self.member, items)]

    def save_arrays(self, directory: pathlib.Path) -> None:
        """Writes the checkpoint, which `transformers` and `Pool.load` read, into `model/`."""
        self.member.save(directory / FOLDER)

    @classmethod
    def restore(cls, fields: dict[str, Any], directory: pathlib.Path) -> "Merged":
        """Reads the checkpoint back."""
        info = inspect(str(directory / FOLDER), fields["name"])
        params = Member.load(info, fields["dtype"]).params
        return cls(Member(info, params, fields["identity"], fields["draws"]), **fields)
