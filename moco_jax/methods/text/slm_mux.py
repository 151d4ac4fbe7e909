"""Every member answers several times; the one most at one with itself is believed."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from moco_jax.decoding.types import Response, total_usage
from moco_jax.method import Method, Needs, NeedsError, TaskInfo, Workbench
from moco_jax.methods.checks import one_of, within
from moco_jax.methods.votes import TOLERANCE, VOTED, chance, leaders, tally, vote_of
from moco_jax.pool import MemberInfo
from moco_jax.system import Context, System, question
from moco_jax.tasks import Item


@dataclasses.dataclass(frozen=True)
class Stance:
    """What one member's samples say about one item.

    Attributes:
        confidence: share of all samples that give its most frequent answer.
        chosen: index of the first sample with that answer, 0 if none gives any.
        answer: that answer in its one spelling, None if there is none.
    """

    confidence: float
    chosen: int
    answer: str | None


def stance(item: Item, texts: Sequence[str], rng: np.random.Generator) -> Stance:
    """Reads k samples of one member; ties among its own answers are drawn."""
    votes = [vote_of(item, text) for text in texts]
    counts = tally(votes)
    if not counts:
        return Stance(0.0, 0, None)
    tied = leaders(counts)
    answer = tied[0] if len(tied) == 1 else str(rng.choice(tied))
    return Stance(counts[answer] / len(texts), votes.index(answer), answer)


def sample_all(
    context: Context, items: Sequence[Item], members: Sequence[int], samples: int, purpose: str
) -> list[list[list[Response]]]:
    """Every member's samples of every item, [item][member][sample], in one batch."""
    asks = [
        (who, question(item, sample, purpose))
        for item in items
        for who in members
        for sample in range(samples)
    ]
    said = iter(context.ask(asks))
    return [[[next(said) for _ in range(samples)] for _ in members] for _ in items]


@dataclasses.dataclass(frozen=True)
class Mux(System):
    """The most self-consistent member answers.

    Attributes:
        members: indices of the members that take part, in pool order.
        scores: their dev scores; empty where ties need none.
        samples: answers per member and item.
        tie: how ties between members are broken.
        seed: of the draws in ties.
    """

    members: tuple[int, ...]
    scores: tuple[float, ...]
    samples: int
    tie: str
    seed: int

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """For each item a sample of the member with the highest confidence."""
        drawn = sample_all(context, items, self.members, self.samples, "answer")
        return [self._decide(item, rows) for item, rows in zip(items, drawn, strict=True)]

    def _decide(self, item: Item, rows: list[list[Response]]) -> Response:
        rng = chance(self.seed, "tied confidences", item.key)
        stances = [stance(item, [answer.text for answer in row], rng) for row in rows]
        confidences = [one.confidence for one in stances]
        tied = [i for i, one in enumerate(confidences) if one >= max(confidences) - TOLERANCE]
        winner = tied[0]
        if len(tied) > 1 and self.tie == "random":
            winner = int(rng.choice(tied))
        if len(tied) > 1 and self.tie == "dev-based":
            winner = max(tied, key=lambda index: self.scores[index])
        everything = [answer for row in rows for answer in row]
        final = rows[winner][stances[winner].chosen]
        return final.replace(
            usage=total_usage(everything),
            transcript=tuple(turn for answer in everything for turn in answer.transcript),
            notes=(
                ("chosen", final.speaker),
                ("confidences", confidences),
                ("answers", [one.answer for one in stances]),
                ("tied", len(tied) > 1),
            ),
        )


@dataclasses.dataclass(frozen=True)
class SlmMux(Method):
    """Samples every member several times; the member most consistent with itself answers.

    Source: SLM-MUX, arXiv 2510.05077; its samples are drawn at temperature 0.3.

    Cost: `samples_per_model` generations per member and item; on dev as many again with
    `select_subset`, and the greedy dev pass of every member that all methods share with
    tie="dev-based".

    Departures: confidence divides by all samples, as in the paper: a sample without an answer is a
    failed vote (the reference divides by those it can read, so that one answer in five samples
    gives confidence 1). Answers are compared in one spelling per value. `select_subset` is the
    paper's second part, which the reference lacks.

    Attributes:
        samples_per_model: k, answers per member and item.
        tie: between members of equal confidence: "dev-based" takes the best on dev, "model-order"
            the earliest, "random" draws.
        seed: of the draws in ties; None takes the run's.
        select_subset: keeps the m members whose dev samples best complement each other; None keeps
            all.
        contradiction_weight: what a confidently wrong member costs in that search, against one
            item that some member solves.
    """

    name: ClassVar[str] = "text_slm_mux"
    needs: ClassVar[Needs] = Needs(kinds=VOTED)

    samples_per_model: int = 5
    tie: Literal["dev-based", "model-order", "random"] = "dev-based"
    seed: int | None = None
    select_subset: int | None = None
    contradiction_weight: float = 1.0

    def __post_init__(self) -> None:
        within(self, "samples_per_model", 1)
        one_of(self, "tie", ("dev-based", "model-order", "random"))
        if self.seed is not None:
            within(self, "seed", 0)
        within(self, "contradiction_weight", 0)
        if self.select_subset is not None:
            within(self, "select_subset", 1)

    def check(self, infos: Sequence[MemberInfo], task: TaskInfo) -> None:
        """There are as many members as are to be selected."""
        super().check(infos, task)
        if self.select_subset is not None and self.select_subset > len(infos):
            raise NeedsError(
                f"{self.name}: select_subset is {self.select_subset}; it must be at most "
                f"{len(infos)}, the members of the pool"
            )

    def fit(self, bench: Workbench) -> System:
        """Selects members and ranks them on dev, where asked to."""
        size = len(bench.pool)
        seed = bench.seed if self.seed is None else self.seed
        members = tuple(range(size))
        if self.select_subset is not None:
            members = self._select(bench, self.select_subset, seed)
        scores: tuple[float, ...] = ()
        if self.tie == "dev-based":
            everyone = bench.dev_scores()
            scores = tuple(everyone[index] for index in members)
        return Mux(members, scores, self.samples_per_model, self.tie, seed)

    def _select(self, bench: Workbench, count: int, seed: int) -> tuple[int, ...]:
        items, everyone = bench.dev.items, range(len(bench.pool))
        drawn = sample_all(bench, items, everyone, self.samples_per_model, "dev samples")
        certain = np.zeros((len(items), len(bench.pool)), bool)
        chosen: list[list[str]] = [[] for _ in everyone]
        for row, item in enumerate(items):
            rng = chance(seed, "tied confidences dev", item.key)
            for who in everyone:
                texts = [answer.text for answer in drawn[row][who]]
                found = stance(item, texts, rng)
                chosen[who].append(texts[found.chosen])
                certain[row, who] = found.confidence >= 1 - TOLERANCE
        scored = [bench.scorer(range(len(items)), texts) for texts in chosen]
        values = np.array([[score.value for score in scores] for scores in scored]).T
        return best_subset(values, certain, count, self.contradiction_weight)


def best_subset(
    values: np.ndarray, certain: np.ndarray, size: int, contradiction_weight: float
) -> tuple[int, ...]:
    """The members whose union solves most and misleads least (arXiv 2510.05077, section 3.3).

    Args:
        values: f64[items, members], the score of each member's most frequent answer.
        certain: bool[items, members], whether all its samples gave that answer.
        size: how many to select.
        contradiction_weight: weight of the items where a selected member is certain and wrong while
            another is right.

    Returns:
        member indices in order; the first in lexical order among equals.
    """

    def worth(members: tuple[int, ...]) -> float:
        ours, sure = values[:, members], certain[:, members]
        solved = ours.max(1)
        misled = (sure & (ours <= 0)).any(1) & (ours >= 1).any(1)
        return float(solved.mean() - contradiction_weight * misled.mean())

    return max(itertools.combinations(range(values.shape[1]), size), key=worth)
