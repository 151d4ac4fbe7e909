"""Agents work on a shared board until enough of them finish, and vote on their conclusions."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Literal

from moco_jax.decoding.types import Response
from moco_jax.method import Method, NeedsError, TaskInfo, Workbench
from moco_jax.methods import prompts, quoting
from moco_jax.methods.checks import one_of, within
from moco_jax.methods.labels import as_reply, weigh
from moco_jax.methods.quoting import Inquiry
from moco_jax.methods.side_by_side import side_by_side
from moco_jax.methods.text.blackboard import SELECT, Board, Rules
from moco_jax.pool import MemberInfo
from moco_jax.system import Context, System
from moco_jax.tasks import Item


@dataclasses.dataclass(frozen=True)
class Agents(System):
    """All items' boards are worked on side by side, in common batches.

    Attributes:
        agents: per agent, the index of the member that speaks for it.
        acting: most agents that act in an iteration.
        finishing: how many of them have to finish to end the work.
        idle: iterations without acting after which an agent is next.
        iterations: most iterations.
        attempts: most attempts at choosing an action.
        selection: "parse" or "score".
        context_policy: what is done with entries that do not fit.
    """

    agents: tuple[int, ...]
    acting: int
    finishing: int
    idle: int
    iterations: int
    attempts: int
    selection: str
    context_policy: str

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """The final answer to every item."""
        # The likeliest label and the greedy reply would be the same again
        again = self.selection == "parse" and not context.sampling.greedy
        rules = Rules(
            agents=self.agents,
            acting=self.acting,
            finishing=self.finishing,
            idle=self.idle,
            iterations=self.iterations,
            attempts=self.attempts if again else 1,
        )
        boards = [Board(item, rules, context.seed) for item in items]
        return side_by_side(
            [board.work() for board in boards], lambda inquiries: self._answer(inquiries, context)
        )

    def _answer(self, inquiries: Sequence[Inquiry], context: Context) -> list[Response]:
        """Replies in order; actions are weighed, not written, where the selection is by score."""
        weighed = [self.selection == "score" and inquiry.purpose == SELECT for inquiry in inquiries]
        chosen = [inquiry for inquiry, weighs in zip(inquiries, weighed, strict=True) if weighs]
        written = [
            inquiry for inquiry, weighs in zip(inquiries, weighed, strict=True) if not weighs
        ]
        replies = iter(quoting.ask(context, written, self.context_policy))
        choices = iter(self._weigh(chosen, context))
        return [next(choices if weighs else replies) for weighs in weighed]

    def _weigh(self, inquiries: Sequence[Inquiry], context: Context) -> list[Response]:
        fitted = quoting.fit(context, inquiries, self.context_policy)
        labels = tuple(prompts.ACTIONS)
        found = weigh(context, [(one.who, one.request) for one in fitted], labels)
        return [
            one.credit(as_reply(context, (one.who, one.request), weighed, labels))
            for one, weighed in zip(fitted, found, strict=True)
        ]


@dataclasses.dataclass(frozen=True)
class Bbmas(Method):
    """Agents read a shared board, choose what to do, and write, until somebody finishes.

    In each iteration some agents, drawn from the seed, act on the board as it stands: each chooses
    to plan, to work, to check, to mend or to finish, and writes an entry. Once enough of them have
    finished, all vote on their conclusions, if these differ.

    Source: blackboard multi-agent systems, arXiv 2507.01701.

    Cost: two generations per acting agent and iteration, up to `max_num_retries` + 1 where choices
    cannot be read; one per acting agent if no conclusion was reached; one per agent if there is a
    vote. The number of iterations is the item's own; the notes have it. With the backbone "best",
    the greedy dev pass of every member that all methods share.

    Departures: every member is an agent, where the reference has the best one speak for all; an
    agent that was idle for longer than `agent_idle_threshold` acts next, where the reference reads
    the setting and does nothing; checking is an action of its own, as documented; after
    `max_iterations` those who acted last have to finish, where the reference has no conclusion.
    An entry holds what was written, without the words of the choice. A vote is the last conclusion
    that a reply names; who names none does not vote. Greedy choices are not tried again.
    `backbone`, `selection` and `context_policy` are additions.

    Attributes:
        max_num_agents_to_act: how many agents act in each iteration.
        min_num_agents_to_stop: how many of those have to finish in one iteration.
        agent_idle_threshold: iterations without acting after which an agent is next.
        max_iterations: most iterations.
        max_num_retries: most attempts at choosing an action; after that the entry is invalid.
        backbone: "own": every agent is its own member; "best": the best on dev speaks for all.
        selection: "parse" reads the chosen action from a reply, "score" takes the likeliest one.
        context_policy: what is done with entries that do not fit (see `quoting`).
    """

    name: ClassVar[str] = "text_bbmas"

    max_num_agents_to_act: int = 1
    min_num_agents_to_stop: int = 1
    agent_idle_threshold: int = 6
    max_iterations: int = 10
    max_num_retries: int = 3
    backbone: Literal["own", "best"] = "own"
    selection: Literal["parse", "score"] = "parse"
    context_policy: quoting.ContextPolicy = "refuse"

    def __post_init__(self) -> None:
        for field in (
            "max_num_agents_to_act",
            "min_num_agents_to_stop",
            "max_iterations",
            "max_num_retries",
        ):
            within(self, field, 1)
        within(self, "agent_idle_threshold", 0)
        one_of(self, "backbone", ("own", "best"))
        one_of(self, "selection", ("parse", "score"))
        one_of(self, "context_policy", quoting.POLICIES)

    def check(self, infos: Sequence[MemberInfo], task: TaskInfo) -> None:
        """Enough agents act to end the work."""
        super().check(infos, task)
        acting = min(len(infos), self.max_num_agents_to_act)
        if self.min_num_agents_to_stop > acting:
            raise NeedsError(
                f"{self.name}: min_num_agents_to_stop is {self.min_num_agents_to_stop}, and no "
                f"more than {acting} of {len(infos)} agents act in an iteration, so that none "
                "could end the work; lower it, or raise max_num_agents_to_act"
            )

    def fit(self, bench: Workbench) -> System:
        """Appoints the agents."""
        size = len(bench.pool)
        return Agents(
            agents=tuple(range(size)) if self.backbone == "own" else (bench.best(),) * size,
            acting=min(size, self.max_num_agents_to_act),
            finishing=self.min_num_agents_to_stop,
            idle=self.agent_idle_threshold,
            iterations=self.max_iterations,
            attempts=self.max_num_retries,
            selection=self.selection,
            context_policy=self.context_policy,
        )
