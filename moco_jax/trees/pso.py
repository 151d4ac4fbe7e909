"""Particle swarm optimisation over trees with a leading particle axis (Kennedy and Eberhart, 1995).

One pure step serves numbers (weights of a fusion) and models (Model Swarms, arXiv 2410.11163, whose
update rule, repelled by the worst, this is). Higher scores are better. A search alternates scoring
`swarm.positions` with `update`, until `stopped`.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

PyTree = Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class SwarmSettings:
    """How particles move; names and defaults are the reference's.

    A method that searches by swarm inherits them: they are hyperparameters of its own.

    Attributes:
        inertia: pull of a particle's own velocity.
        cognitive_coeff: pull of its own best position.
        social_coeff: pull of the best position of all.
        repel_coeff: push away from the worst position of all.
        repel_term: whether there is this push.
        weight_randomness: each pull is scaled by a draw from U(0, 1) per particle and step.
        step_length: share of its velocity that a particle moves.
        step_length_factor: multiplies the step length after each step.
        minimum_step_length: where it stops shrinking.
        patience: updates without a better global best after which the search is over.
        restart_patience: updates without a better personal best after which a particle goes back
            to it and stands still.
    """

    inertia: float = 0.2
    cognitive_coeff: float = 0.3
    social_coeff: float = 0.4
    repel_coeff: float = 0.05
    repel_term: bool = True
    weight_randomness: bool = True
    step_length: float = 0.5
    step_length_factor: float = 0.95
    minimum_step_length: float = 0.1
    patience: int = 5
    restart_patience: int = 3

    def __post_init__(self) -> None:
        pulls = ("inertia", "cognitive_coeff", "social_coeff", "repel_coeff")
        checks = {name: (getattr(self, name) >= 0, "0 or more") for name in pulls}
        checks |= {
            name: (getattr(self, name) > 0, "above 0")
            for name in ("step_length", "step_length_factor", "minimum_step_length")
        }
        checks |= {
            name: (getattr(self, name) >= 1, "1 or more")
            for name in ("patience", "restart_patience")
        }
        for name, (holds, wanted) in checks.items():
            if not holds:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be {wanted}")
        if self.inertia + self.cognitive_coeff + self.social_coeff <= 0:
            raise ValueError(
                "inertia, cognitive_coeff and social_coeff are all 0, so that no particle would "
                "move; make one of them positive"
            )


class Swarm(NamedTuple):
    """All particles, and what they remember. P is the number of particles.

    Attributes:
        positions: leaves f32[P, ...].
        velocities: like positions.
        best: every particle's best position so far.
        best_scores: f32[P] their scores.
        age: i32[P] updates since a particle's best improved or it was restarted.
        leader: leaves [...], the best position of all.
        leader_score: f32[].
        worst: leaves [...], the worst position of all.
        worst_score: f32[].
        stale: i32[] updates since the leader improved.
        step_length: f32[].
    """

    positions: PyTree
    velocities: PyTree
    best: PyTree
    best_scores: jax.Array
    age: jax.Array
    leader: PyTree
    leader_score: jax.Array
    worst: PyTree
    worst_score: jax.Array
    stale: jax.Array
    step_length: jax.Array


def scatter(
    key: jax.Array, particles: int, dimensions: int, velocity: str = "random"
) -> tuple[jax.Array, jax.Array]:
    """Positions f32[P, D] from U(-1, 1), and velocities alike or 0 (`starting_velocity_mode`)."""
    shape = (particles, dimensions)
    where, how = jax.random.split(key)
    positions = jax.random.uniform(where, shape, minval=-1.0, maxval=1.0)
    if velocity == "zero":
        return positions, jnp.zeros(shape)
    return positions, jax.random.uniform(how, shape, minval=-1.0, maxval=1.0)


def start(settings: SwarmSettings, positions: PyTree, velocities: PyTree) -> Swarm:
    """A swarm that nothing is known of yet."""
    particles = jax.tree.leaves(positions)[0].shape[0]
    first = jax.tree.map(lambda leaf: leaf[0], positions)
    return Swarm(
        positions=positions,
        velocities=velocities,
        best=positions,
        best_scores=jnp.full(particles, -jnp.inf),
        age=jnp.zeros(particles, jnp.int32),
        leader=first,
        leader_score=jnp.float32(-jnp.inf),
        worst=first,
        worst_score=jnp.float32(jnp.inf),
        stale=jnp.int32(0),
        step_length=jnp.float32(settings.step_length),
    )


def update(settings: SwarmSettings, swarm: Swarm, scores: jax.Array, key: jax.Array) -> Swarm:
    """Remembers the scores of the present positions, then moves the particles.

    Ties change nothing: a best is replaced by a better one only. A particle that has not improved
    for `restart_patience` updates returns to its best with velocity 0 and moves on in the next.

    Args:
        settings: how particles move.
        swarm: the state.
        scores: f32[P] of `swarm.positions`.
        key: `jax.random.key` of this step.
    """
    return _move(settings, _remember(swarm, jnp.asarray(scores, jnp.float32)), key)


def stopped(settings: SwarmSettings, swarm: Swarm) -> bool:
    """Whether the leader has not improved for `patience` updates."""
    return int(swarm.stale) >= settings.patience


def simplex(points: jax.Array) -> jax.Array:
    """The nearest weights f32[..., D] that are not negative and sum to 1 (arXiv 1309.1541, alg. 1).

    Args:
        points: f32[..., D].
    """
    ordered = -jnp.sort(-points, axis=-1)
    excess = jnp.cumsum(ordered, axis=-1) - 1
    counts = jnp.arange(1, points.shape[-1] + 1)
    kept = jnp.sum(ordered * counts > excess, axis=-1, keepdims=True)
    shift = jnp.take_along_axis(excess, kept - 1, axis=-1) / kept
    return jnp.maximum(points - shift, 0)


def _remember(swarm: Swarm, scores: jax.Array) -> Swarm:
    better = scores > swarm.best_scores
    top, bottom = jnp.argmax(scores), jnp.argmin(scores)
    leads, trails = scores[top] > swarm.leader_score, scores[bottom] < swarm.worst_score

    def replace(when: jax.Array, index: jax.Array, old: PyTree) -> PyTree:
        return jax.tree.map(lambda x, o: jnp.where(when, x[index], o), swarm.positions, old)

    return swarm._replace(
        best=jax.tree.map(
            lambda x, o: jnp.where(_along(better, x), x, o), swarm.positions, swarm.best
        ),
        best_scores=jnp.where(better, scores, swarm.best_scores),
        age=jnp.where(better, 0, swarm.age + 1),
        leader=replace(leads, top, swarm.leader),
        leader_score=jnp.maximum(swarm.leader_score, scores[top]),
        worst=replace(trails, bottom, swarm.worst),
        worst_score=jnp.minimum(swarm.worst_score, scores[bottom]),
        stale=jnp.where(leads, 0, swarm.stale + 1),
    )


def _move(settings: SwarmSettings, swarm: Swarm, key: jax.Array) -> Swarm:
    repel = settings.repel_coeff * settings.repel_term
    pulls = jnp.array([settings.inertia, settings.cognitive_coeff, settings.social_coeff, repel])
    pulls = jnp.broadcast_to(pulls, (swarm.age.shape[0], 4))
    if settings.weight_randomness:
        pulls = pulls * jax.random.uniform(key, pulls.shape)
    shares = pulls / jnp.maximum(pulls.sum(-1, keepdims=True), jnp.finfo(jnp.float32).tiny)
    restart = swarm.age >= settings.restart_patience

    def faster(x: jax.Array, v: jax.Array, p: jax.Array, g: jax.Array, w: jax.Array) -> jax.Array:
        a, b, c, e = (_along(share, x) for share in shares.T)
        moved = a * v + b * (p - x) + c * (g - x) + e * (x - w)
        return jnp.where(_along(restart, x), 0, moved)

    def further(x: jax.Array, v: jax.Array, p: jax.Array) -> jax.Array:
        return jnp.where(_along(restart, x), p, x + swarm.step_length * v)

    state = swarm.positions, swarm.velocities, swarm.best
    velocities = jax.tree.map(faster, *state, swarm.leader, swarm.worst)
    shorter = swarm.step_length * settings.step_length_factor
    return swarm._replace(
        positions=jax.tree.map(further, swarm.positions, velocities, swarm.best),
        velocities=velocities,
        age=jnp.where(restart, 0, swarm.age),
        step_length=jnp.maximum(shorter, settings.minimum_step_length),
    )


def _along(values: jax.Array, leaf: jax.Array) -> jax.Array:
    """values [P] shaped to broadcast against leaf [P, ...]."""
    return values.reshape(-1, *[1] * (leaf.ndim - 1))
