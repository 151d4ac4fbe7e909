"""The best member answers several times, and its most frequent answer counts."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

from absl import logging

from moco_jax.decoding.types import Response, total_usage
from moco_jax.method import Method, Needs, Workbench
from moco_jax.methods.checks import within
from moco_jax.methods.votes import VOTED, first_voter, leaders, tally, vote_of
from moco_jax.system import Context, System, question
from moco_jax.tasks import Item


@dataclasses.dataclass(frozen=True)
class SampledVote(System):
    """One member votes with itself.

    Attributes:
        member: its index in the pool.
        samples: answers per item.
    """

    member: int
    samples: int

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """The first sample that gives the most frequent answer; earlier answers win ties."""
        asks = [
            (self.member, question(item, sample))
            for item in items
            for sample in range(self.samples)
        ]
        said = context.ask(asks)
        rows = [said[i : i + self.samples] for i in range(0, len(said), self.samples)]
        return [_vote(item, row) for item, row in zip(items, rows, strict=True)]


def _vote(item: Item, answers: Sequence[Response]) -> Response:
    votes = [vote_of(item, answer.text) for answer in answers]
    counts = tally(votes)
    chosen = first_voter(votes, leaders(counts)[:1], range(len(votes)))
    return answers[chosen].replace(
        usage=total_usage(answers),
        transcript=tuple(turn for answer in answers for turn in answer.transcript),
        notes=(("chosen", answers[chosen].speaker), ("votes", counts)),
    )


@dataclasses.dataclass(frozen=True)
class SelfConsistency(Method):
    """The best member on dev answers `samples` times; its most frequent answer wins.

    Source: self-consistency, arXiv 2203.11171; the single-model rival of every vote at equal cost.

    Cost: `samples` generations per item, and the greedy dev pass of every member that all methods
    share.

    Attributes:
        samples: answers drawn per item.
    """

    name: ClassVar[str] = "self_consistency"
    needs: ClassVar[Needs] = Needs(kinds=VOTED)

    samples: int = 5

    def __post_init__(self) -> None:
        within(self, "samples", 1)

    def fit(self, bench: Workbench) -> System:
        """Ranks the members on dev."""
        if bench.sampling.greedy:
            logging.warning(
                "%s: at temperature 0 all samples are one text, so this is best_on_dev at %d times "
                "the cost",
                self.name,
                self.samples,
            )
        return SampledVote(bench.best(), self.samples)
