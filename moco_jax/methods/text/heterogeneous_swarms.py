"""A swarm searches for the graph along which members should pass on what they say."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Literal

import jax
import numpy as np
from absl import logging

from moco_jax.decoding.types import Response
from moco_jax.method import Method, Needs, Workbench
from moco_jax.methods import quoting
from moco_jax.methods.checks import one_of, within
from moco_jax.methods.text.graphs import Reads, decode, edges
from moco_jax.methods.text.teams import Known, Team, work
from moco_jax.methods.votes import chance
from moco_jax.methods.weight.search import by_swarm
from moco_jax.system import Context, System
from moco_jax.tasks import Item
from moco_jax.trees import pso

Matrix = tuple[tuple[float, ...], ...]


@dataclasses.dataclass(frozen=True)
class Relay(System):
    """Every member speaks once, after those it reads; the last one answers.

    Attributes:
        reads: per member, whom it reads: the graph that did best on dev.
        end: the member that answers.
        best_adjacency_matrix: the strengths of edges that the graph was drawn from.
        dev_score: of this graph.
        contributions: per member, its JFK score; empty if it was not asked for.
        context_policy: what is done with quotes that do not fit.
    """

    reads: Reads
    end: int
    best_adjacency_matrix: Matrix
    dev_score: float
    contributions: tuple[float | None, ...]
    context_policy: str

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """What the end of the graph says to every item."""
        team = Team(self.reads, self.end, tuple(range(len(self.reads))))
        (answers,) = work(context, items, [team], self.context_policy)
        return [self._close(said) for said in answers]

    def _close(self, said: dict[int, Response]) -> Response:
        final = said[self.end]
        notes = [("chosen", final.speaker), ("edges", edges(self.reads))]
        return quoting.conclude(final, list(said.values()), notes)


class Trials:
    """Teams tried on dev, and the best of them; no question is asked twice."""

    def __init__(self, bench: Workbench, policy: str):
        self.bench = bench
        self.policy = policy
        self.known: Known = {}

    def scores(self, teams: Sequence[Team]) -> list[float]:
        """The mean greedy dev score of every team; all are asked at once."""
        bench = self.bench
        greedy = bench.sampling.with_greedy()
        answers = work(bench, bench.dev.items, teams, self.policy, greedy, self.known)
        return [
            bench.mean_dev_score([said[team.end] for said in rows])
            for team, rows in zip(teams, answers, strict=True)
        ]


def jfk_scores(
    placements: Sequence[Sequence[int]], scores: Sequence[float], size: int
) -> tuple[float | None, ...]:
    """JFK scores (arXiv 2502.04510): what teams score in which a member stands, on average.

    Args:
        placements: per team, the member at every node; who stands at two counts twice.
        scores: per team.
        size: of the pool.

    Returns:
        a score per member; None for those that stand in no team.
    """
    counts = np.array([np.bincount(members, minlength=size) for members in placements])
    totals, sums = counts.sum(0), np.array(scores) @ counts
    return tuple(float(s / n) if n else None for s, n in zip(sums, totals, strict=True))


@dataclasses.dataclass(frozen=True)
class HeterogeneousSwarms(Method, pso.SwarmSettings):
    """Searches by particle swarm for a graph in which members read each other; its end answers.

    A particle is one strength per pair of members. A graph is drawn from it in which everybody
    sends what it says to one other, up to one end that nobody reads, and scored on dev.

    Source: the role step of Heterogeneous Swarms, arXiv 2502.04510.

    Cost: one generation per member and item; before it at most as many per dev item for each of
    `population * max_iterations` graphs, greedily. A member is asked once for all graphs in which
    the same led up to it, so that the first to speak are as cheap as one dev pass.
    `jfk_assignments` counts like so many graphs more.

    Departures: the very graph that did best on dev answers (the reference draws another one from
    its matrix); candidates are scored greedily; sums of strengths that are not above 0 are alike
    where the end is drawn, not upside down or not a number. `graph_top_p`, `jfk_assignments` and
    `context_policy` are additions. The paper's weight step, which changes the members themselves,
    is not here. `ratio` is the run's and keeps a share of both splits.

    Attributes:
        population: particles, each with one graph per round.
        max_iterations: rounds of the search, at most.
        graph_top_p: how a graph is drawn from strengths: at each step among the likeliest that make
            up this share; 0 takes the likeliest, 1 draws among all.
        jfk_assignments: so many times members are dealt out at random to the nodes of the best
            graph, and every member's score is the mean over those it stood in; 0 is none.
        context_policy: what is done with quotes that do not fit (see `quoting`).
        starting_velocity_mode: particles start at "random" velocities or at rest ("zero").

    How they move is set by the attributes of `trees.pso.SwarmSettings`.
    """

    name: ClassVar[str] = "text_heterogeneous_swarms"
    needs: ClassVar[Needs] = Needs(members=2)

    population: int = 5
    max_iterations: int = 5
    graph_top_p: float = 0.7
    jfk_assignments: int = 0
    context_policy: quoting.ContextPolicy = "refuse"
    starting_velocity_mode: Literal["random", "zero"] = "random"

    def __post_init__(self) -> None:
        within(self, "population", 1)
        within(self, "max_iterations", 1)
        within(self, "graph_top_p", 0, 1)
        within(self, "jfk_assignments", 0)
        one_of(self, "context_policy", quoting.POLICIES)
        one_of(self, "starting_velocity_mode", ("random", "zero"))
        try:
            pso.SwarmSettings.__post_init__(self)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from error

    def fit(self, bench: Workbench) -> System:
        """Searches the graph on dev."""
        trials = Trials(bench, self.context_policy)
        score, team, matrix = self._search(bench, trials)
        logging.info("%s: edges %s score %.4f on dev", self.name, edges(team.reads), score)
        return Relay(
            reads=team.reads,
            end=team.end,
            best_adjacency_matrix=tuple(tuple(row) for row in matrix.tolist()),
            dev_score=score,
            contributions=self._contributions(bench, trials, team),
            context_policy=self.context_policy,
        )

    def _search(self, bench: Workbench, trials: Trials) -> tuple[float, Team, np.ndarray]:
        """The first of the best graphs: its score, itself, and f32[N, N] it was drawn from."""
        size = len(bench.pool)
        tried: list[tuple[float, Team, np.ndarray]] = []

        def worth(points: np.ndarray) -> list[float]:
            matrices = np.where(np.eye(size, dtype=bool), 0, points.reshape(-1, size, size))
            teams = []
            for number, matrix in enumerate(matrices, len(tried)):
                rng = chance(bench.seed, "graph", str(number))
                reads, end = decode(matrix, self.graph_top_p, rng)
                teams.append(Team(reads, end, tuple(range(size))))
            scores = trials.scores(teams)
            logging.info("%s: scores %s on dev", self.name, scores)
            tried.extend(zip(scores, teams, matrices, strict=True))
            return scores

        key = jax.random.key(bench.seed)
        started = jax.random.fold_in(key, 0)
        velocity = self.starting_velocity_mode
        particles = pso.scatter(started, self.population, size * size, velocity)
        by_swarm(worth, self, *particles, self.max_iterations, key)
        return max(tried, key=lambda trial: trial[0])

    def _contributions(
        self, bench: Workbench, trials: Trials, team: Team
    ) -> tuple[float | None, ...]:
        """JFK scores from random placements on the team's graph, where asked for."""
        if not self.jfk_assignments:
            return ()
        size = len(bench.pool)
        rng = chance(bench.seed, "graph placements", "")
        placements = rng.integers(size, size=(self.jfk_assignments, size)).tolist()
        teams = [dataclasses.replace(team, members=tuple(members)) for members in placements]
        found = jfk_scores(placements, trials.scores(teams), size)
        logging.info("%s: contributions %s on dev", self.name, found)
        return found
