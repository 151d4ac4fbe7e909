"""One model answers: the reference point of every method."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

from moco_jax.decoding.types import Response
from moco_jax.method import Method, Needs, Workbench
from moco_jax.system import Context, System
from moco_jax.tasks import Item


@dataclasses.dataclass(frozen=True)
class OneMember(System):
    """One member answers everything.

    Attributes:
        member: its index in the pool.
        scores: mean dev score of every member, where it was chosen by them.
    """

    member: int
    scores: tuple[float, ...] = ()

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """The member's answer to every item."""
        notes = (("chosen", context.pool[self.member].name),)
        return [r.replace(notes=notes) for r in context.answer(self.member, items)]


@dataclasses.dataclass(frozen=True)
class SingleModel(Method):
    """The pool's only member answers.

    Source: none; the reference's `single_model`, with the engine, dtype and defaults of all other
    methods.

    Cost: one generation per item.

    Departures: the reference reads other defaults here (100 tokens, float16) than in its methods,
    and keeps reasoning in the answer, so that its baselines and methods cannot be compared.
    """

    name: ClassVar[str] = "single_model"
    needs: ClassVar[Needs] = Needs(at_most=1)

    def fit(self, bench: Workbench) -> System:
        """Nothing to learn."""
        del bench
        return OneMember(0)
