"""Members answer, read each other's answers, and answer again."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import ClassVar, Literal

from moco_jax.decoding.types import Response
from moco_jax.method import Method, NeedsError, TaskInfo, Workbench
from moco_jax.methods import prompts
from moco_jax.methods.checks import one_of, within
from moco_jax.methods.quoting import (
    POLICIES,
    ContextPolicy,
    Inquiry,
    ask,
    conclude,
    latest,
    plain,
    quote,
    quote_about,
)
from moco_jax.methods.votes import VOTED, first_voter, leaders, tally, vote_of
from moco_jax.pool import MemberInfo
from moco_jax.system import Context, System
from moco_jax.tasks import Item


@dataclasses.dataclass
class Table:
    """One item's debate while it goes on.

    Attributes:
        answers: every member's latest response.
        said: every response so far, in order.
        rounds: rounds so far.
        agreed: everybody gave one and the same answer, so that the debate ended early.
    """

    answers: list[Response]
    said: list[Response]
    rounds: int
    agreed: bool = False


def refinement(who: int, item: Item, purpose: str, own: str, others: Sequence[str]) -> Inquiry:
    """Asks a member for a better answer after reading others; its own is the last to be dropped."""
    write = functools.partial(prompts.refine, item.prompt)
    return quote_about(who, item, purpose, write, own, others)


@dataclasses.dataclass(frozen=True)
class Debate(System):
    """All members debate; one of them, or a vote, has the last word.

    Attributes:
        ranking: member indices, best on dev first.
        rounds: rounds of answers, the first included.
        final: "summarizer" or "vote".
        early_stop: whether a debate ends when all agree.
        max_answer_characters: where quoted answers are cut; None leaves them whole.
        context_policy: what is done with quoted answers that do not fit.
    """

    ranking: tuple[int, ...]
    rounds: int
    final: str
    early_stop: bool
    max_answer_characters: int | None
    context_policy: str

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """The final answer to every item."""
        tables = [Table([], [], 0) for _ in items]
        for number in range(self.rounds):
            self._round(number, items, tables, context)
        if self.final == "summarizer":
            return self._summarise(items, tables, context)
        return [self._vote(item, table) for item, table in zip(items, tables, strict=True)]

    def _round(
        self, number: int, items: Sequence[Item], tables: list[Table], context: Context
    ) -> None:
        """All members answer all items whose debate goes on."""
        live = [(i, t) for i, t in zip(items, tables, strict=True) if not t.agreed]
        size = len(context.pool)
        inquiries = [
            self._inquiry(number, who, item, table) for item, table in live for who in range(size)
        ]
        said = ask(context, inquiries, self.context_policy)
        for index, (item, table) in enumerate(live):
            fresh = said[index * size : (index + 1) * size]
            table.answers = latest(table.answers, fresh)
            table.said += fresh
            table.rounds += 1
            votes = (
                {vote_of(item, answer.text) for answer in table.answers} if self.early_stop else ()
            )
            table.agreed = len(votes) == 1 and None not in votes

    def _inquiry(self, number: int, who: int, item: Item, table: Table) -> Inquiry:
        if number == 0:
            return plain(who, item)
        texts = [self._quote(answer) for answer in table.answers]
        own, others = texts[who], texts[:who] + texts[who + 1 :]
        return refinement(who, item, f"refine round {number + 1}", own, others)

    def _quote(self, answer: Response) -> str:
        return prompts.clip(answer.text, self.max_answer_characters)

    def _summarise(
        self, items: Sequence[Item], tables: list[Table], context: Context
    ) -> list[Response]:
        """The best member on dev writes the final answer, where not all agree already."""
        writer = self.ranking[0]
        open_items = [(i, t) for i, t in zip(items, tables, strict=True) if not t.agreed]
        inquiries = []
        for item, table in open_items:
            write = functools.partial(prompts.summarise, item.prompt)
            texts = [self._quote(answer) for answer in table.answers]
            inquiries.append(quote(writer, item, "summarise", write, texts))
        written = iter(ask(context, inquiries, self.context_policy))
        finals = []
        for table in tables:
            final = table.answers[writer]
            if not table.agreed:
                final = next(written)
                table.said.append(final)
            finals.append(_close(table, final))
        return finals

    def _vote(self, item: Item, table: Table) -> Response:
        votes = [vote_of(item, answer.text) for answer in table.answers]
        voter = first_voter(votes, leaders(tally(votes)), self.ranking)
        return _close(table, table.answers[voter])


def _close(table: Table, final: Response) -> Response:
    notes = (("chosen", final.speaker), ("rounds", table.rounds), ("agreed", table.agreed))
    return conclude(final, table.said, notes)


@dataclasses.dataclass(frozen=True)
class MultiagentRefine(Method):
    """All members answer, and answer again after reading the others; one writes the final answer.

    Source: multiagent debate, arXiv 2305.14325; self-refine, arXiv 2303.17651.

    Cost: `round` generations per member and item, one more for the summariser, and the greedy dev
    pass of every member that all methods share.

    Departures: `final`, `early_stop`, `max_answer_characters` and `context_policy` are additions;
    the first three do by default what MoCo does. A prompt that outgrows a member's context
    is refused and counted, where MoCo cuts off the end of the prompt.

    Attributes:
        round: rounds of answers, the first included; 1 is no debate.
        final: "summarizer": the best member on dev writes the final answer from the last round;
            "vote": the most frequent answer of the last round (as in the debate paper), ties going
            to the voter that does best on dev.
        early_stop: a debate ends when all members give the same answer, which then stands without a
            summary.
        max_answer_characters: quoted answers are cut there, visibly; None quotes them whole.
        context_policy: what is done with quoted answers that do not fit (see `quoting`): "refuse"
            the prompt, drop the "oldest_first", "shorten" them evenly, or "summarise" them first.
    """

    name: ClassVar[str] = "text_multiagent_refine"

    round: int = 3
    final: Literal["summarizer", "vote"] = "summarizer"
    early_stop: bool = False
    max_answer_characters: int | None = None
    context_policy: ContextPolicy = "refuse"

    def __post_init__(self) -> None:
        within(self, "round", 1)
        one_of(self, "final", ("summarizer", "vote"))
        one_of(self, "context_policy", POLICIES)
        if self.max_answer_characters is not None:
            within(self, "max_answer_characters", 1)

    def check(self, infos: Sequence[MemberInfo], task: TaskInfo) -> None:
        """Answers that are compared can be."""
        super().check(infos, task)
        if (self.final == "vote" or self.early_stop) and task.kind not in VOTED:
            raise NeedsError(
                f"{self.name} with final='vote' or early_stop compares answers; it can for "
                f"tasks of kind {', '.join(VOTED)}, and this one is {task.kind}"
            )

    def fit(self, bench: Workbench) -> System:
        """Ranks the members on dev."""
        return Debate(
            ranking=tuple(bench.ranking()),
            rounds=self.round,
            final=self.final,
            early_stop=self.early_stop,
            max_answer_characters=self.max_answer_characters,
            context_policy=self.context_policy,
        )
