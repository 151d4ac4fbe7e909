"""Members answer, read each other's answers, and answer again."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Literal

from moco_jax.decoding.types import Request, Response, Turn, Usage
from moco_jax.method import Method, NeedsError, Workbench
from moco_jax.methods import prompts
from moco_jax.methods.checks import one_of, within
from moco_jax.methods.votes import VOTED, first_voter, leaders, tally, vote_of
from moco_jax.system import Context, System, question
from moco_jax.tasks import Item


@dataclasses.dataclass
class Table:
    """One item's debate while it goes on.

    Attributes:
        answers: every member's latest response.
        usage: what all of it cost so far.
        turns: all that was said, in order.
        rounds: rounds so far.
        agreed: everybody gave one and the same answer, so that the debate ended early.
    """

    answers: list[Response]
    usage: Usage
    turns: tuple[Turn, ...]
    rounds: int
    agreed: bool = False

    def hear(self, responses: Sequence[Response]) -> None:
        """Adds what was said in a round, or at the end."""
        for response in responses:
            self.usage = self.usage + response.usage
            self.turns = self.turns + response.transcript


@dataclasses.dataclass(frozen=True)
class Debate(System):
    """All members debate; one of them, or a vote, has the last word.

    Attributes:
        ranking: member indices, best on dev first.
        rounds: rounds of answers, the first included.
        final: "summarizer" or "vote".
        early_stop: whether a debate ends when all agree.
        max_answer_characters: where quoted answers are cut; None leaves them whole.
    """

    ranking: tuple[int, ...]
    rounds: int
    final: str
    early_stop: bool
    max_answer_characters: int | None

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """The final answer to every item."""
        tables = [Table([], Usage(), (), 0) for _ in items]
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
        asks = [
            (who, self._request(number, who, item, table))
            for item, table in live
            for who in range(size)
        ]
        said = context.ask(asks) if asks else []
        for index, (item, table) in enumerate(live):
            table.answers = said[index * size : (index + 1) * size]
            table.hear(table.answers)
            table.rounds += 1
            votes = (
                {vote_of(item, answer.text) for answer in table.answers} if self.early_stop else ()
            )
            table.agreed = len(votes) == 1 and None not in votes

    def _request(self, number: int, who: int, item: Item, table: Table) -> Request:
        if number == 0:
            return question(item)
        texts = [self._quote(answer) for answer in table.answers]
        others = texts[:who] + texts[who + 1 :]
        text = prompts.refine(item.prompt, texts[who], others)
        return Request.user(text, item=item.id, purpose=f"refine round {number + 1}")

    def _quote(self, answer: Response) -> str:
        return prompts.clip(answer.text, self.max_answer_characters)

    def _summarise(
        self, items: Sequence[Item], tables: list[Table], context: Context
    ) -> list[Response]:
        """The best member on dev writes the final answer, where not all agree already."""
        writer = self.ranking[0]
        open_items = [(i, t) for i, t in zip(items, tables, strict=True) if not t.agreed]
        asks = []
        for item, table in open_items:
            text = prompts.summarise(item.prompt, [self._quote(a) for a in table.answers])
            asks.append((writer, Request.user(text, item=item.id, purpose="summarise")))
        written = iter(context.ask(asks) if asks else [])
        finals = []
        for table in tables:
            final = table.answers[writer]
            if not table.agreed:
                final = next(written)
                table.hear([final])
            finals.append(_close(table, final))
        return finals

    def _vote(self, item: Item, table: Table) -> Response:
        votes = [vote_of(item, answer.text) for answer in table.answers]
        voter = first_voter(votes, leaders(tally(votes)), self.ranking)
        return _close(table, table.answers[voter])


def _close(table: Table, final: Response) -> Response:
    notes = (("chosen", final.speaker), ("rounds", table.rounds), ("agreed", table.agreed))
    return final.replace(usage=table.usage, transcript=table.turns, notes=notes)


@dataclasses.dataclass(frozen=True)
class MultiagentRefine(Method):
    """All members answer, and answer again after reading the others; one writes the final answer.

    Source: multiagent debate, arXiv 2305.14325; self-refine, arXiv 2303.17651.

    Cost: `round` generations per member and item, one more for the summariser, and the greedy dev
    pass of every member that all methods share.

    Departures: `final`, `early_stop` and `max_answer_characters` are additions; their defaults are
    what the reference does. A prompt that outgrows a member's context is refused and counted, where
    the reference cuts off the end of the prompt.

    Attributes:
        round: rounds of answers, the first included; 1 is no debate.
        final: "summarizer": the best member on dev writes the final answer from the last round;
            "vote": the most frequent answer of the last round (as in the debate paper), ties going
            to the voter that does best on dev.
        early_stop: a debate ends when all members give the same answer, which then stands without a
            summary.
        max_answer_characters: quoted answers are cut there, visibly; None quotes them whole.
    """

    name: ClassVar[str] = "text_multiagent_refine"

    round: int = 3
    final: Literal["summarizer", "vote"] = "summarizer"
    early_stop: bool = False
    max_answer_characters: int | None = None

    def __post_init__(self) -> None:
        within(self, "round", 1)
        one_of(self, "final", ("summarizer", "vote"))
        if self.max_answer_characters is not None:
            within(self, "max_answer_characters", 1)

    def fit(self, bench: Workbench) -> System:
        """Ranks the members on dev."""
        kind = bench.dev.items[0].kind
        if (self.final == "vote" or self.early_stop) and kind not in VOTED:
            raise NeedsError(
                f"{self.name} with final='vote' or early_stop compares answers; it can for "
                f"tasks of kind {', '.join(VOTED)}, and this one is {kind}"
            )
        return Debate(
            ranking=tuple(bench.ranking()),
            rounds=self.round,
            final=self.final,
            early_stop=self.early_stop,
            max_answer_characters=self.max_answer_characters,
        )
