"""Members are particles of a swarm that moves through the space of weights."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from moco_jax.method import Method, Needs, NeedsError, TaskInfo, Workbench
from moco_jax.methods.checks import one_of, within
from moco_jax.methods.weight.mixtures import Stock
from moco_jax.methods.weight.search import Found, by_swarm, dev_scores_of
from moco_jax.pool import MemberInfo
from moco_jax.system import System
from moco_jax.trees import pso


@dataclasses.dataclass(frozen=True)
class ModelSwarms(Method, pso.SwarmSettings):
    """Each member is a particle that moves by its own best, the best and the worst of all.

    Source: Model Swarms, arXiv 2410.11163.

    Cost: one generation per item; particles * max_iterations greedy dev passes, all particles of a
    round at once. The members' own passes, which begin the first, are shared with all methods.

    Departures: greedy dev scores. A particle whose best is `restart_patience` rounds old returns to
    it and stands still for that round, and the search ends after `patience` rounds without a better
    best, as in the paper (the reference compares a few recent scores, and moves on right after a
    restart). Particles are coefficients of the members, which is the same swarm exactly, since it
    only adds and scales; weights are made from them in float32, so that nothing rounds between
    rounds. Whole weights of a round's particles stand in memory side by side: `particles_at_once`
    bounds them. Adapters stay adapters over one base, whose weights are held once; differing ranks
    are filled up with zeros and differing scales folded in.

    Attributes:
        initial_particles: the members, and then pairs of them mixed at random shares as the paper
            grows its swarm; null is the members alone.
        space: of adapters, "factors" moves A and B each for itself, as the authors do; "delta"
            moves their products, at a rank N times as large. Whole weights have but one space.
        particles_at_once: of whole weights, particles made and asked side by side; null is all.
        max_iterations: rounds, at most.
        base_model: accepted from the reference's files; no particle is made from it there either.

    How they move is set by the attributes of `trees.pso.SwarmSettings`.
    """

    name: ClassVar[str] = "weight_model_swarms"
    needs: ClassVar[Needs] = Needs(members=2, same_architecture=True)

    initial_particles: int | None = None
    space: Literal["factors", "delta"] = "factors"
    particles_at_once: int | None = None
    max_iterations: int = 10
    base_model: str | None = None

    def __post_init__(self) -> None:
        one_of(self, "space", ("factors", "delta"))
        within(self, "max_iterations", 1)
        for field in ("initial_particles", "particles_at_once"):
            if getattr(self, field) is not None:
                within(self, field, 1)
        try:
            pso.SwarmSettings.__post_init__(self)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from error

    def check(self, infos: Sequence[MemberInfo], task: TaskInfo) -> None:
        """Every member is a particle."""
        super().check(infos, task)
        count = self.initial_particles
        if count is not None and count < len(infos):
            raise NeedsError(
                f"{self.name}: initial_particles is {count}, and the pool has {len(infos)} "
                "members, each of which is a particle; raise it, or pass fewer with --models"
            )

    def fit(self, bench: Workbench) -> System:
        """Moves the swarm; the best particle of all rounds is the model."""
        if self.base_model is not None:
            logging.warning("%s: base_model has no effect: particles are members", self.name)
        names = bench.pool.names
        label = f"{self.name}({'+'.join(names)})"
        key, stock = jax.random.key(bench.seed), Stock.of(bench.pool)
        positions, velocities = self._start(len(names), jax.random.fold_in(key, 0))

        def worth(points: np.ndarray) -> list[float]:
            scores: list[float] = []
            step = self.particles_at_once or len(points)
            for first in range(0, len(points), step):
                part = points[first : first + step]
                # No name holds the candidates, so that they are gone before the next are made
                scores += dev_scores_of(bench, stock.candidates(label, part, self.space))
            logging.info("%s: particles %s score %s on dev", self.name, points.tolist(), scores)
            return scores

        found = by_swarm(worth, self, positions, velocities, self.max_iterations, key)
        return stock.kept(label, found.point, self.space, **self._notes(names, found))

    def _notes(self, names: list[str], found: Found) -> dict[str, object]:
        return {
            "members": names,
            "coefficients": [float(share) for share in found.point],
            "dev_score": found.worth,
            "g_history": list(found.history),
        }

    def _start(self, members: int, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Positions and velocities f32[P, N] over the members.

        The members themselves, then pairs of them mixed; each heads for a random other one.
        """
        count = members if self.initial_particles is None else self.initial_particles
        pairs, shares, partners = jax.random.split(key, 3)
        one, other = _two_each(pairs, count - members, members)
        share = jax.random.uniform(shares, (count - members, 1))
        alone = jnp.eye(members)
        mixed = share * alone[one] + (1 - share) * alone[other]
        positions = jnp.concatenate([alone, mixed])
        away = jax.random.randint(partners, (count,), 1, count)
        return positions, positions[(jnp.arange(count) + away) % count] - positions


def _two_each(key: jax.Array, pairs: int, members: int) -> tuple[jax.Array, jax.Array]:
    """Two different members for each pair, i32[pairs] and i32[pairs]."""
    first, gap = jax.random.split(key)
    one = jax.random.randint(first, (pairs,), 0, members)
    return one, (one + jax.random.randint(gap, (pairs,), 1, members)) % members
