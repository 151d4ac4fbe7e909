"""Every member answers, and the most frequent answer wins."""

import dataclasses
import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from moco_jax.decoding.types import Response, total_usage
from moco_jax.method import Method, Needs, Workbench
from moco_jax.methods.checks import one_of
from moco_jax.methods.votes import VOTED, chance, first_voter, leaders, tally, vote_of
from moco_jax.system import Context, System, question
from moco_jax.tasks import Item

OPEN_ANSWERS = 100
"""How many answers a question without options is taken to have, for the weight of a vote."""


@dataclasses.dataclass(frozen=True)
class Vote(System):
    """All members vote.

    Attributes:
        tie: how ties are broken.
        accuracies: smoothed dev accuracy per member, whose log-odds weigh its vote; empty where
            all votes are equal.
        order: member indices, the one to follow in a tie first.
    """

    tie: str
    accuracies: tuple[float, ...]
    order: tuple[int, ...]

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """For each item the answer of a member whose vote won."""
        asks = [(who, question(item)) for item in items for who in range(len(context.pool))]
        said = context.ask(asks)
        size = len(context.pool)
        rows = [said[i : i + size] for i in range(0, len(said), size)]
        return [self._decide(i, row, context) for i, row in zip(items, rows, strict=True)]

    def _decide(self, item: Item, answers: Sequence[Response], context: Context) -> Response:
        votes = [vote_of(item, answer.text) for answer in answers]
        weights = [vote_weight(p, len(item.choices)) for p in self.accuracies]
        counts = tally(votes, weights or None)
        winners = leaders(counts)
        tied = len(winners) > 1
        if tied and self.tie == "random":
            winners = [str(chance(context.seed, "tied votes", item.key).choice(winners))]
        chosen = first_voter(votes, winners, self.order)
        return answers[chosen].replace(
            usage=total_usage(answers),
            transcript=tuple(turn for answer in answers for turn in answer.transcript),
            notes=(("chosen", answers[chosen].speaker), ("votes", counts), ("tied", tied)),
        )


def vote_weight(accuracy: float, choices: int) -> float:
    """Weight of a vote with this accuracy among K answers: log((K - 1) p / (1 - p)), at least 0.

    The weight that makes the vote most likely right where voters err independently and wrong
    answers are equally likely. Who does no better than guessing has none.

    Args:
        accuracy: p, strictly between 0 and 1.
        choices: K; 0 for open questions, which count as `OPEN_ANSWERS`.
    """
    others = (choices or OPEN_ANSWERS) - 1
    return max(math.log(others * accuracy / (1 - accuracy)), 0.0)


@dataclasses.dataclass(frozen=True)
class MajorityVote(Method):
    """Every member answers once; the answer with the most votes wins.

    Source: none cited by the reference; the weights are those of weighted majority voting
    (Nitzan and Paroush, 1982).

    Cost: one generation per member and item; a greedy dev pass of every member, which all methods
    share, where `tie` or `weights` asks for it.

    Departures: answers are compared in one spelling per value, and an output without an answer has
    no vote (in the reference "no answer" can win, and "42" and "42." are two answers). Ties are
    drawn from the seed. The response is the winning member's text, from which the answer is read
    again.

    Attributes:
        tie: "random" draws among the tied answers; "dev-based" follows the tied member that does
            best on dev.
        weights: "uniform", or "dev": each vote weighs its member's log-odds of being right on dev.
    """

    name: ClassVar[str] = "text_majority_vote"
    needs: ClassVar[Needs] = Needs(kinds=VOTED)

    tie: Literal["random", "dev-based"] = "random"
    weights: Literal["uniform", "dev"] = "uniform"

    def __post_init__(self) -> None:
        one_of(self, "tie", ("random", "dev-based"))
        one_of(self, "weights", ("uniform", "dev"))

    def fit(self, bench: Workbench) -> System:
        """Ranks or weighs the members on dev, where asked to."""
        accuracies: tuple[float, ...] = ()
        order = tuple(range(len(bench.pool)))
        if self.weights == "dev":
            size = len(bench.dev)
            # One imagined item right and one wrong: no member is ever certain
            accuracies = tuple((score * size + 1) / (size + 2) for score in bench.dev_scores())
        if self.tie == "dev-based":
            order = tuple(bench.ranking())
        return Vote(self.tie, accuracies, order)
