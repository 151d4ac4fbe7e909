"""Members answer again and again, each reading only its neighbours in a graph."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from absl import logging

from moco_jax.decoding.types import Response
from moco_jax.method import Method, NeedsError, TaskInfo, Workbench
from moco_jax.methods import quoting
from moco_jax.methods.checks import one_of, within
from moco_jax.methods.text.graphs import TOPOLOGIES, Reads, of_matrix, topology
from moco_jax.methods.text.multiagent_refine import refinement
from moco_jax.methods.votes import VOTED, first_voter, leaders, tally, vote_of
from moco_jax.pool import MemberInfo
from moco_jax.system import Context, System
from moco_jax.tasks import Item

OTHER = "other"


def speakers(reads: Reads, last: Sequence[int], rounds: int) -> list[list[int]]:
    """Who has to be asked in every round for the last answers of some members.

    Whoever reads nobody answers once; an answer that reaches none of `last` in time is not asked
    for.
    """
    wanted = [set(last)]
    for _ in range(rounds - 1):
        wanted.append(wanted[-1] | {source for who in wanted[-1] for source in reads[who]})
    first, *later = reversed(wanted)
    return [sorted(first), *[sorted(who for who in members if reads[who]) for members in later]]


@dataclasses.dataclass(frozen=True)
class Network(System):
    """All members talk with their neighbours; one of them, or a vote, has the last word.

    Attributes:
        reads: per member, whom it reads.
        rounds: rounds of answers, the first included.
        report: "best" or "vote".
        ranking: member indices, best on dev first.
        dev_scores: of every member on its own.
        context_policy: what is done with quoted answers that do not fit.
    """

    reads: Reads
    rounds: int
    report: str
    ranking: tuple[int, ...]
    dev_scores: tuple[float, ...]
    context_policy: str

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """The reported answer to every item."""
        reporters = self.ranking[:1] if self.report == "best" else self.ranking
        latest: list[dict[int, Response]] = [{} for _ in items]
        said: list[list[Response]] = [[] for _ in items]
        for number, members in enumerate(speakers(self.reads, reporters, self.rounds)):
            inquiries = [
                self._inquiry(number, who, item, answers)
                for item, answers in zip(items, latest, strict=True)
                for who in members
            ]
            heard = quoting.ask(context, inquiries, self.context_policy)
            for index in range(len(items)):
                fresh = heard[index * len(members) : (index + 1) * len(members)]
                before = [latest[index].get(who) for who in members]
                latest[index] |= zip(members, quoting.latest(before, fresh), strict=True)
                said[index] += fresh
        rows = zip(items, latest, said, strict=True)
        return [self._close(item, answers, turns) for item, answers, turns in rows]

    def _inquiry(
        self, number: int, who: int, item: Item, answers: dict[int, Response]
    ) -> quoting.Inquiry:
        if number == 0:
            return quoting.plain(who, item)
        others = [answers[source].text for source in self.reads[who]]
        return refinement(who, item, f"refine round {number + 1}", answers[who].text, others)

    def _close(
        self, item: Item, answers: dict[int, Response], said: Sequence[Response]
    ) -> Response:
        chosen = self.ranking[0]
        notes: list[tuple[str, Any]] = [("rounds", self.rounds)]
        if self.report == "vote":
            votes = [vote_of(item, answers[who].text) for who in sorted(answers)]
            chosen = first_voter(votes, leaders(tally(votes)), self.ranking)
            notes.append(("votes", votes))
        final = answers[chosen]
        return quoting.conclude(final, said, [("chosen", final.speaker), *notes])


@dataclasses.dataclass(frozen=True)
class Structure(Method):
    """All members answer, and answer again after reading their neighbours in a graph.

    Source: NetSafe, arXiv 2410.15686.

    Cost: `num_rounds` generations per member and item, and the greedy dev pass of every member that
    all methods share. What cannot reach the reported answer any more is not asked: with
    report="best" only the reporter answers in the last round, and only its neighbours besides in
    the one before.

    Departures: nobody is its own neighbour, which the reference makes of members in pools of one or
    two; `star_pure`, `report` and `context_policy` are additions. Members read each other in
    the words of `text_multiagent_refine`.

    Attributes:
        structure_type: who reads whom: a "chain"; a binary "tree"; a "star" whose rim is joined to
            a ring, as in the reference; "star_pure" without the ring; a "circle"; "complete"; or
            "other", as `structure_matrix` says.
        structure_matrix: with "other", 0 or 1 per pair of members: [i][j] = 1 lets j read i. The
            diagonal is ignored: everybody is shown its own last answer.
        num_rounds: rounds of answers, the first included; 1 is no exchange.
        report: "best" reports what the best member on dev says last; "vote" the most frequent of
            all last answers, ties going to the voter that does best on dev.
        context_policy: what is done with quotes that do not fit (see `quoting`).
    """

    name: ClassVar[str] = "text_structure"

    structure_type: Literal["chain", "tree", "star", "star_pure", "circle", "complete", "other"]
    structure_matrix: tuple[tuple[int, ...], ...] | None = None
    num_rounds: int = 3
    report: Literal["best", "vote"] = "best"
    context_policy: quoting.ContextPolicy = "refuse"

    def __post_init__(self) -> None:
        one_of(self, "structure_type", (*TOPOLOGIES, OTHER))
        one_of(self, "report", ("best", "vote"))
        one_of(self, "context_policy", quoting.POLICIES)
        within(self, "num_rounds", 1)
        if self.structure_matrix is None:
            if self.structure_type == OTHER:
                raise ValueError(
                    f"{self.name}: structure_matrix is None; structure_type='other' needs one row "
                    "and one column per member, with 1 at [i][j] where j reads i"
                )
            return
        for row in self.structure_matrix:
            if len(row) != len(self.structure_matrix):
                raise ValueError(
                    f"{self.name}: structure_matrix is {len(self.structure_matrix)} rows, one of "
                    f"them with {len(row)} entries; it must be square"
                )
            for value in row:
                if value not in (0, 1):
                    raise ValueError(
                        f"{self.name}: structure_matrix is 0 or 1 per pair of members; {value!r} "
                        "stands in it"
                    )

    def check(self, infos: Sequence[MemberInfo], task: TaskInfo) -> None:
        """Answers that are voted on can be compared, and a matrix is of the pool's size."""
        super().check(infos, task)
        if self.report == "vote" and task.kind not in VOTED:
            raise NeedsError(
                f"{self.name} with report='vote' compares answers; it can for tasks of kind "
                f"{', '.join(VOTED)}, and this one is {task.kind}"
            )
        matrix = self.structure_matrix or ()
        if self.structure_type == OTHER and len(matrix) != len(infos):
            raise NeedsError(
                f"{self.name}: structure_matrix is {matrix!r} for {len(infos)} members; give one "
                "row and one column per member, in the order of the pool"
            )

    def fit(self, bench: Workbench) -> System:
        """Ranks the members on dev and draws up the graph."""
        reads = self._reads(len(bench.pool))
        logging.info("%s: members read %s; dev scores %s", self.name, reads, bench.dev_scores())
        return Network(
            reads=reads,
            rounds=self.num_rounds,
            report=self.report,
            ranking=tuple(bench.ranking()),
            dev_scores=bench.dev_scores(),
            context_policy=self.context_policy,
        )

    def _reads(self, size: int) -> Reads:
        """Who reads whom in a pool of this size."""
        matrix = self.structure_matrix
        if matrix is not None:
            if self.structure_type == OTHER:
                return of_matrix(matrix)
            logging.warning(
                "%s: structure_matrix has no effect with structure_type=%r",
                self.name,
                self.structure_type,
            )
        return topology(self.structure_type, size)
