"""A member drawn for each item answers it: what routing is worth without knowing anything."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

from moco_jax.decoding.types import Response
from moco_jax.method import Method, Workbench
from moco_jax.methods.votes import chance
from moco_jax.system import Context, System, question
from moco_jax.tasks import Item


@dataclasses.dataclass(frozen=True)
class RandomRouter(System):
    """Draws the member for each item from the run's seed and the item's content."""

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """The drawn members' answers."""
        drawn = [
            int(chance(context.seed, "random_member", item.key).integers(len(context.pool)))
            for item in items
        ]
        asks = [(who, question(item)) for who, item in zip(drawn, items, strict=True)]
        return [r.replace(notes=(("chosen", r.speaker),)) for r in context.ask(asks)]


@dataclasses.dataclass(frozen=True)
class RandomMember(Method):
    """One member, drawn uniformly for each item, answers it.

    Source: none; the floor of every router.

    Cost: one generation per item.
    """

    name: ClassVar[str] = "random_member"

    def fit(self, bench: Workbench) -> System:
        """Nothing to learn."""
        del bench
        return RandomRouter()
