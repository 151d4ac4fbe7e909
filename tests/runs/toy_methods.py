"""Small methods for the tests of runs."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

from moco_jax.decoding.types import Response, total_usage
from moco_jax.method import Method, Needs, Workbench
from moco_jax.system import Context, System
from moco_jax.tasks import Item


@dataclasses.dataclass(frozen=True)
class Relayed(System):
    """The best member answers; the others have answered before it, and show in the transcript."""

    best: int
    probes: int

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        everyone = [context.answer(index, items) for index in range(len(context.pool))]
        again = context.answer(self.best, items, purpose="second thoughts")
        finals = []
        for place, response in enumerate(again):
            before = [theirs[place] for theirs in everyone]
            turns = tuple(turn for one in (*before, response) for turn in one.transcript)
            finals.append(
                response.replace(
                    transcript=turns,
                    usage=total_usage([*before, response]),
                    notes=(("chosen", response.speaker), ("probes", self.probes)),
                )
            )
        return finals


@dataclasses.dataclass(frozen=True)
class Relay(Method):
    """Probes every member on dev some times, then relays to the best."""

    name: ClassVar[str] = "relay"
    needs: ClassVar[Needs] = Needs(members=2)

    probes: int = 2

    def fit(self, bench: Workbench) -> Relayed:
        for sample in range(self.probes):
            for index in range(len(bench.pool)):
                bench.answer(index, bench.dev.items, sample=sample, purpose="probe")
        return Relayed(bench.best(), self.probes)


@dataclasses.dataclass(frozen=True)
class Alone(System):
    """The first member answers."""

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        return context.answer(0, items)


@dataclasses.dataclass(frozen=True)
class Solo(Method):
    """The first member, unfitted."""

    name: ClassVar[str] = "solo"

    def fit(self, bench: Workbench) -> Alone:
        return Alone()


@dataclasses.dataclass(frozen=True)
class Greedy(Method):
    """Claims a name that belongs to the run."""

    name: ClassVar[str] = "greedy"

    temperature: float = 0.0

    def fit(self, bench: Workbench) -> Alone:
        return Alone()
