"""The swarm against a particle-by-particle numpy reference, and its rules one at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.trees.pso import SwarmSettings, scatter, simplex, start, stopped, update

STILL = SwarmSettings(weight_randomness=False)


class Reference:
    """The same rules with loops, without randomness."""

    def __init__(self, settings, x, v):
        self.s, self.x, self.v = settings, x.astype(float), v.astype(float)
        self.p, self.ps = self.x.copy(), np.full(len(x), -np.inf)
        self.g, self.gs, self.w, self.ws = None, -np.inf, None, np.inf
        self.age, self.stale = np.zeros(len(x), int), 0
        self.step = settings.step_length

    def update(self, scores):
        s = self.s
        self.stale += 1
        for i, score in enumerate(scores):
            self.age[i] += 1
            if score > self.ps[i]:
                self.p[i], self.ps[i], self.age[i] = self.x[i].copy(), score, 0
            if score > self.gs:
                self.g, self.gs, self.stale = self.x[i].copy(), score, 0
            if score < self.ws:
                self.w, self.ws = self.x[i].copy(), score
        e = s.repel_coeff if s.repel_term else 0.0
        total = s.inertia + s.cognitive_coeff + s.social_coeff + e
        for i in range(len(scores)):
            if self.age[i] >= s.restart_patience:
                self.x[i], self.v[i], self.age[i] = self.p[i].copy(), 0.0, 0
                continue
            x = self.x[i]
            self.v[i] = (
                s.inertia * self.v[i]
                + s.cognitive_coeff * (self.p[i] - x)
                + s.social_coeff * (self.g - x)
                + e * (x - self.w)
            ) / total
            self.x[i] = x + self.step * self.v[i]
        self.step = max(self.step * s.step_length_factor, s.minimum_step_length)


@pytest.mark.parametrize("repel_term", [True, False])
def test_steps_equal_the_reference(repel_term):
    settings = SwarmSettings(weight_randomness=False, repel_term=repel_term, restart_patience=2)
    positions, velocities = scatter(jax.random.key(1), 4, 3)
    swarm = start(settings, positions, velocities)
    reference = Reference(settings, np.asarray(positions), np.asarray(velocities))
    rng = np.random.default_rng(0)
    for _ in range(12):
        # Few distinct scores, so that ties and stagnation happen
        scores = rng.integers(0, 5, size=4).astype(np.float32)
        swarm = update(settings, swarm, jnp.asarray(scores), jax.random.key(0))
        reference.update(scores)
        np.testing.assert_allclose(swarm.positions, reference.x, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(swarm.velocities, reference.v, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(swarm.age, reference.age)
        assert int(swarm.stale) == reference.stale
    np.testing.assert_allclose(swarm.leader, reference.g, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(swarm.worst, reference.w, rtol=1e-5, atol=1e-6)


def test_a_stagnant_particle_returns_to_its_best_and_stands_still():
    settings = SwarmSettings(weight_randomness=False, restart_patience=2)
    swarm = start(settings, *scatter(jax.random.key(0), 2, 2))
    home = swarm.positions[0]
    for scores in ([5.0, 1.0], [4.0, 2.0], [3.0, 3.0]):
        swarm = update(settings, swarm, jnp.array(scores), jax.random.key(0))
    np.testing.assert_array_equal(swarm.positions[0], home)
    np.testing.assert_array_equal(swarm.velocities[0], jnp.zeros(2))
    assert np.abs(swarm.velocities[1]).sum() > 0, "the improving particle goes on"


def test_stops_after_patience_updates_without_a_better_leader():
    swarm = start(STILL, *scatter(jax.random.key(0), 2, 2))
    stops = []
    for score in [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]:
        swarm = update(STILL, swarm, jnp.array([score, 0.0]), jax.random.key(0))
        stops.append(stopped(STILL, swarm))
    assert stops == [False] * 6 + [True]


def test_finds_the_top_of_a_hill():
    settings = SwarmSettings()
    top = jnp.array([0.3, -0.6])
    key = jax.random.key(0)
    swarm = start(settings, *scatter(key, 12, 2))
    for step in range(40):
        scores = -jnp.sum((swarm.positions - top) ** 2, -1)
        swarm = update(settings, swarm, scores, jax.random.fold_in(key, step))
    np.testing.assert_allclose(swarm.leader, top, atol=0.05)


def test_models_are_particles_like_numbers():
    positions, velocities = scatter(jax.random.key(2), 3, 4)

    def tree(flat):
        return {"a": flat[:, :1], "b": flat[:, 1:].reshape(3, 3, 1)}

    flat = start(SwarmSettings(), positions, velocities)
    nested = start(SwarmSettings(), tree(positions), tree(velocities))
    for step in range(3):
        args = jnp.array([1.0, float(step), 0.5]), jax.random.key(step)
        flat, nested = update(SwarmSettings(), flat, *args), update(SwarmSettings(), nested, *args)
    np.testing.assert_array_equal(nested.positions["b"], tree(flat.positions)["b"])


def test_simplex_is_the_nearest_point():
    rng = np.random.default_rng(0)
    grid = np.array([(i, j, 20 - i - j) for i in range(21) for j in range(21 - i)]) / 20
    for point in rng.uniform(-1, 1, (20, 3)):
        weights = np.asarray(simplex(jnp.asarray(point, jnp.float32)))
        assert weights.min() >= 0
        assert weights.sum() == pytest.approx(1, abs=1e-6)
        nearest = np.min(np.sum((grid - point) ** 2, -1))
        assert np.sum((weights - point) ** 2) <= nearest + 1e-6
    np.testing.assert_allclose(simplex(jnp.array([0.2, 0.5, 0.3])), [0.2, 0.5, 0.3], atol=1e-6)


@pytest.mark.parametrize("name", ["inertia", "step_length", "patience"])
def test_bad_settings_are_named(name):
    with pytest.raises(ValueError, match=f"{name} is -1"):
        SwarmSettings(**{name: -1})


def test_particles_may_start_at_rest():
    key = jax.random.key(3)
    positions, velocities = scatter(key, 4, 3, "zero")
    np.testing.assert_array_equal(positions, scatter(key, 4, 3)[0])
    np.testing.assert_array_equal(velocities, np.zeros((4, 3)))
