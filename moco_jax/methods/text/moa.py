"""Members propose, read all proposals and propose again; one of them makes them into one answer."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Literal

from moco_jax.decoding.types import Response
from moco_jax.method import Method, NeedsError, TaskInfo, Workbench
from moco_jax.methods import prompts
from moco_jax.methods.checks import one_of, within
from moco_jax.methods.helpers import same_model
from moco_jax.methods.quoting import POLICIES, ContextPolicy, Inquiry, ask, conclude, quote
from moco_jax.pool import Member, MemberInfo, Pool
from moco_jax.system import Context, System
from moco_jax.tasks import Item


@dataclasses.dataclass(frozen=True)
class Layers(System):
    """Layers of proposals, and who writes the answer.

    Attributes:
        proposers: member indices of every layer; a member that stands in it several times proposes
            as many samples.
        rounds: layers of proposals.
        aggregator: who writes the answer: a member's index, or a model's name.
        identity: of the named model; "" for a member.
        dedupe_references: whether equal proposals are shown once.
        context_policy: what is done with proposals that do not fit.
    """

    proposers: tuple[int, ...]
    rounds: int
    aggregator: int | str
    identity: str
    dedupe_references: bool
    context_policy: str

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """The aggregator's answer to every item."""
        size = len(self.proposers)
        samples = [self.proposers[:place].count(who) for place, who in enumerate(self.proposers)]
        places = list(zip(self.proposers, samples, strict=True))
        said: list[list[Response]] = [[] for _ in items]
        for number in range(1, self.rounds + 1):
            purpose = "answer" if number == 1 else f"propose round {number}"
            inquiries = [
                self._inquiry(who, item, purpose, past[-size:], sample)
                for item, past in zip(items, said, strict=True)
                for who, sample in places
            ]
            heard = ask(context, inquiries, self.context_policy)
            for index, past in enumerate(said):
                past += heard[index * size : (index + 1) * size]
        writer = self._writer(context.pool)
        inquiries = [
            self._inquiry(writer, item, "aggregate", past[-size:])
            for item, past in zip(items, said, strict=True)
        ]
        finals = ask(context, inquiries, self.context_policy)
        return [
            conclude(
                final,
                [*past, final],
                (("chosen", final.speaker), ("references", len(self._references(past[-size:])))),
            )
            for past, final in zip(said, finals, strict=True)
        ]

    def _writer(self, pool: Pool) -> int | Member:
        if isinstance(self.aggregator, int):
            return self.aggregator
        return same_model("aggregator_model", self.aggregator, self.identity, pool)

    def _inquiry(
        self,
        who: int | Member,
        item: Item,
        purpose: str,
        proposals: Sequence[Response],
        sample: int = 0,
    ) -> Inquiry:
        """One that quotes the proposals; the item's own prompt where there are none."""

        def write(texts: Sequence[str]) -> str:
            return prompts.remind(prompts.mix(item.prompt, texts), item.kind)

        return quote(who, item, purpose, write, self._references(proposals), sample)

    def _references(self, proposals: Sequence[Response]) -> list[str]:
        texts = [text for proposal in proposals if (text := proposal.text.strip())]
        return list(dict.fromkeys(texts)) if self.dedupe_references else texts


@dataclasses.dataclass(frozen=True)
class Moa(Method):
    """Mixture of agents: all members propose, one makes the proposals into one answer.

    Source: Mixture-of-Agents, arXiv 2406.04692; with one proposer, Self-MoA, arXiv 2502.00674.

    Cost: `round` generations per member and item, one more for the aggregator, and the greedy dev
    pass of every member that all methods share where the best member is asked for.

    Departures: a prompt that outgrows a member's context is refused and counted, where
    MoCo cuts off the question; empty proposals are not shown; the prompt ends with how the
    kind of task wants its answers, where the item's own prompt does not; `aggregator_model`,
    `dedupe_references`, `proposers` and `context_policy` are additions.

    Attributes:
        round: layers of proposals before the aggregator; from the second on, members read all
            proposals of the layer before.
        aggregator_model: who writes the answer: a member by its index or name, or the name of
            another model; None takes the best member on dev.
        dedupe_references: equal proposals are shown once.
        proposers: "pool": every member proposes; "best": the best member on dev proposes as many
            samples as the pool has members.
        context_policy: what is done with proposals that do not fit (see `quoting`): "refuse" the
            prompt, drop the "oldest_first", "shorten" them evenly, or "summarise" them first.
    """

    name: ClassVar[str] = "text_moa"

    round: int = 1
    aggregator_model: int | str | None = None
    dedupe_references: bool = False
    proposers: Literal["pool", "best"] = "pool"
    context_policy: ContextPolicy = "refuse"

    def __post_init__(self) -> None:
        within(self, "round", 1)
        if isinstance(self.aggregator_model, int):
            within(self, "aggregator_model", 0)
        one_of(self, "proposers", ("pool", "best"))
        one_of(self, "context_policy", POLICIES)

    def helpers(self) -> dict[str, str]:
        """The aggregator, where it is named."""
        named = self.aggregator_model
        return {"aggregator": named} if isinstance(named, str) else {}

    def check(self, infos: Sequence[MemberInfo], task: TaskInfo) -> None:
        """An aggregator that is numbered is there."""
        super().check(infos, task)
        aggregator = self.aggregator_model
        if isinstance(aggregator, int) and aggregator >= len(infos):
            raise NeedsError(
                f"{self.name}: aggregator_model is {aggregator}; the pool has the members 0 to "
                f"{len(infos) - 1}"
            )

    def fit(self, bench: Workbench) -> System:
        """Finds the best member on dev, where it is needed."""
        size = len(bench.pool)
        aggregator, identity = self.aggregator_model, ""
        if isinstance(aggregator, str):
            identity = bench.pool.find(aggregator).identity
        elif aggregator is None:
            aggregator = bench.best()
        proposers = range(size) if self.proposers == "pool" else [bench.best()] * size
        return Layers(
            proposers=tuple(proposers),
            rounds=self.round,
            aggregator=aggregator,
            identity=identity,
            dedupe_references=self.dedupe_references,
            context_policy=self.context_policy,
        )
