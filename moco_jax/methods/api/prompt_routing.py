"""The best member on dev reads what the others are good at and names the one to answer."""

import dataclasses
import re
from collections.abc import Sequence
from typing import ClassVar, Literal

from moco_jax.decoding.types import Request, Response, Turn, Usage
from moco_jax.method import Method, NeedsError, TaskInfo, Workbench
from moco_jax.methods import prompts
from moco_jax.methods.checks import one_of
from moco_jax.methods.labels import as_reply, weigh
from moco_jax.pool import MemberInfo
from moco_jax.system import Context, System, about, question
from moco_jax.tasks import Item


@dataclasses.dataclass(frozen=True)
class Decision:
    """Which member should answer an item.

    Attributes:
        member: its index.
        usage: what the decision cost.
        turns: what was asked and replied.
        notes: for the response.
    """

    member: int
    usage: Usage
    turns: tuple[Turn, ...]
    notes: tuple[tuple[str, object], ...] = ()


@dataclasses.dataclass(frozen=True)
class Router(System):
    """One member routes, the others answer.

    Attributes:
        router: index of the member that decides.
        descriptions: one per member.
        decision: "logprob" or "generate".
    """

    router: int
    descriptions: tuple[str, ...]
    decision: str

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """Each item's answer by the member that the router named."""
        decide = self._weigh if self.decision == "logprob" else self._ask
        decisions = decide(items, context)
        pairs = zip(items, decisions, strict=True)
        said = context.ask([(decision.member, question(item)) for item, decision in pairs])
        return [
            response.replace(
                usage=decision.usage + response.usage,
                transcript=decision.turns + response.transcript,
                notes=(
                    ("chosen", response.speaker),
                    ("router", context.pool[self.router].name),
                    *decision.notes,
                ),
            )
            for response, decision in zip(said, decisions, strict=True)
        ]

    def _requests(self, items: Sequence[Item]) -> list[Request]:
        return [
            about(item, prompts.route(item.question, self.descriptions), purpose="route")
            for item in items
        ]

    def _weigh(self, items: Sequence[Item], context: Context) -> list[Decision]:
        """Takes the most likely number; itself where the question does not fit its context."""
        labels = [str(number) for number in range(1, len(self.descriptions) + 1)]
        asks = [(self.router, request) for request in self._requests(items)]
        decisions = []
        for ask, found in zip(asks, weigh(context, asks, labels), strict=True):
            shares = found.probabilities if found.fits else None
            member = shares.index(max(shares)) if shares else self.router
            reply = as_reply(context, ask, found, labels)
            notes = (("router_probabilities", shares),)
            decisions.append(Decision(member, found.usage, reply.transcript, notes))
        return decisions

    def _ask(self, items: Sequence[Item], context: Context) -> list[Decision]:
        """Takes the number that the router writes; itself if it writes none."""
        asks = [(self.router, request) for request in self._requests(items)]
        decisions = []
        for reply in context.ask(asks, context.sampling.with_greedy()):
            member = named_member(reply.text, len(self.descriptions))
            chosen = self.router if member is None else member
            notes = (("router_reply_parsed", member is not None),)
            decisions.append(Decision(chosen, reply.usage, reply.transcript, notes))
        return decisions


def named_member(reply: str, count: int, first: int = 1) -> int | None:
    """Index of the member a reply names by its first whole number that is a member's.

    Args:
        reply: what was written.
        count: how many members there are.
        first: the number of the first of them.
    """
    numbers = (int(match) for match in re.findall(r"(?<![\d.])\d{1,9}(?!\.?\d)", reply))
    return next((number - first for number in numbers if 0 <= number - first < count), None)


@dataclasses.dataclass(frozen=True)
class PromptRouting(Method):
    """The best member on dev reads the question and all descriptions, and names who answers.

    Source: none cited by the reference; a prompted router.

    Cost: one generation per item, plus one reading of the router's prompt with a number per member
    (with "generate" one more generation per item), and the greedy dev pass of every member that all
    methods share.

    Departures: by default the router's log-probabilities of the numbers decide. The reference lets
    it write as long as an answer and looks for digits anywhere in it, the largest first, so that
    "24" or "step 3" routes. Here "generate" is greedy and takes the first whole number in range.

    Attributes:
        model_descriptions: what each member is good at, in pool order.
        router_decision: "logprob" compares the numbers' log-probabilities; "generate" parses a
            written reply.
    """

    name: ClassVar[str] = "api_prompt_routing"

    model_descriptions: tuple[str, ...]
    router_decision: Literal["logprob", "generate"] = "logprob"

    def __post_init__(self) -> None:
        one_of(self, "router_decision", ("logprob", "generate"))

    def check(self, infos: Sequence[MemberInfo], task: TaskInfo) -> None:
        """Every member is described."""
        super().check(infos, task)
        if len(self.model_descriptions) != len(infos):
            raise NeedsError(
                f"{self.name}: model_descriptions has {len(self.model_descriptions)} entries for "
                f"{len(infos)} members; give one per member, in the order of the pool"
            )

    def fit(self, bench: Workbench) -> System:
        """Ranks the members on dev; the best is the router."""
        return Router(bench.best(), tuple(self.model_descriptions), self.router_decision)
