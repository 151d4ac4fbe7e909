"""Searches for a few numbers whose worth only models can tell, and the dev scores that tell it."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from moco_jax.method import Workbench
from moco_jax.pool import Member, variants
from moco_jax.system import question
from moco_jax.trees import pso

PyTree = Any
Worth = Callable[[np.ndarray], Sequence[float]]
"""`points f32[P, D] -> P numbers`, higher is better; called once per round with all candidates."""


@dataclasses.dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        point: f32[D] the first of the best candidates.
        worth: its worth.
        history: the best worth so far after every round.
    """

    point: np.ndarray
    worth: float
    history: tuple[float, ...]


def by_swarm(
    worth: Worth,
    settings: pso.SwarmSettings,
    positions: jax.Array,
    velocities: jax.Array,
    rounds: int,
    key: jax.Array,
    bound: float = np.inf,
) -> Found:
    """Particle swarm search from given particles.

    Args:
        worth: of the candidates.
        settings: how particles move, and when the search is over.
        positions: f32[P, D].
        velocities: f32[P, D].
        rounds: calls of `worth`, at most.
        key: of the whole search.
        bound: particles stay between it and its negative.
    """
    swarm = pso.start(settings, positions, velocities)
    best = _Best()
    for step in range(rounds):
        points = np.asarray(swarm.positions)
        scores = best.of(points, worth(points))
        swarm = pso.update(settings, swarm, jnp.array(scores), jax.random.fold_in(key, step + 1))
        swarm = swarm._replace(positions=jnp.clip(swarm.positions, -bound, bound))
        if pso.stopped(settings, swarm):
            break
    return best.found()


def by_evolution(
    worth: Worth,
    start: Sequence[float],
    spread: float,
    population: int,
    rounds: int,
    key: jax.Array,
    bound: float = np.inf,
    patience: int | None = None,
) -> Found:
    """CMA-ES (Hansen and Ostermeier, 2001), by evosax.

    Args:
        worth: of the candidates.
        start: mean of the first round's candidates; the first of them stands there.
        spread: their standard deviation.
        population: candidates of a round.
        rounds: calls of `worth`, at most.
        key: of the whole search.
        bound: candidates stay between it and its negative.
        patience: rounds without a better best after which the search is over.
    """
    # Takes a second to import, which only this search should cost
    from evosax.algorithms import CMA_ES

    mean = jnp.array(start, jnp.float32)
    strategy = CMA_ES(population_size=population, solution=mean)
    params = strategy.default_params.replace(std_init=jnp.float32(spread))
    state = strategy.init(jax.random.fold_in(key, 0), mean, params)
    best = _Best()
    for step in range(rounds):
        asking, telling = jax.random.split(jax.random.fold_in(key, step + 1))
        asked, state = strategy.ask(asking, state, params)
        if step == 0:
            asked = asked.at[0].set(mean)
        points = np.asarray(jnp.clip(asked, -bound, bound))
        scores = best.of(points, worth(points))
        # It minimises
        state, _ = strategy.tell(telling, jnp.array(points), -jnp.array(scores), state, params)
        if patience is not None and best.stale >= patience:
            break
    return best.found()


class _Best:
    """The best candidate so far; of equal ones the first."""

    def __init__(self) -> None:
        self.point = np.zeros(0, np.float32)
        self.worth = -np.inf
        self.history: list[float] = []
        self.stale = 0

    def of(self, points: np.ndarray, scores: Sequence[float]) -> list[float]:
        """Looks at a round; gives its scores back."""
        scores = [float(score) for score in scores]
        top = int(np.argmax(scores))
        better = scores[top] > self.worth
        self.stale = 0 if better else self.stale + 1
        if better:
            self.point, self.worth = points[top], scores[top]
        self.history.append(self.worth)
        return scores

    def found(self) -> Found:
        return Found(self.point, self.worth, tuple(self.history))


def side_by_side(kin: Member, candidates: Iterable[Member], count: int) -> list[Member]:
    """Models as one population, so that one program answers for all of them.

    Args:
        kin: a member of their architecture and tokenizer.
        candidates: the models; where an iterator makes them, each goes into the population and is
            gone before the next is made.
        count: how many they are.
    """
    names: list[str] = []
    recipes: list[str] = []
    stack: PyTree = None
    for one in candidates:
        stack = _repeated(one.params, count) if stack is None else stack
        stack = _put(stack, one.params, len(names))
        names.append(one.name)
        recipes.append(one.identity)
        # Nothing may hold it while the next is made
        del one
    return variants(kin, names, recipes, params=stack)


@functools.partial(jax.jit, static_argnums=1)
def _repeated(params: PyTree, count: int) -> PyTree:
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, *leaf.shape)), params)


@functools.partial(jax.jit, donate_argnums=0)
def _put(stack: PyTree, params: PyTree, place: int) -> PyTree:
    return jax.tree.map(lambda held, leaf: held.at[place].set(leaf), stack, params)


def dev_scores_of(
    bench: Workbench, candidates: Sequence[Member], count: int | None = None
) -> list[float]:
    """The mean greedy dev score of every candidate; all are asked in one call.

    Args:
        bench: has the items.
        candidates: who is asked.
        count: how many of the first items; None takes all.
    """
    items = bench.dev.items[:count]
    asks = [(who, question(item, purpose="dev")) for who in candidates for item in items]
    said = bench.ask(asks, bench.sampling.with_greedy())
    rows = [said[start : start + len(items)] for start in range(0, len(said), len(items))]
    scores = [bench.scorer(range(len(items)), [r.text for r in row]) for row in rows]
    return [math.fsum(score.value for score in row) / len(row) for row in scores]
