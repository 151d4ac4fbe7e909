"""Black-box searches find known optima, are reproducible, and stay where they may be."""

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax import testing
from moco_jax.methods.weight.search import by_evolution, by_swarm, side_by_side
from moco_jax.trees import pso

TOP = np.array([0.4, -0.7, 0.2])
KEY = jax.random.key(0)


def hill(points):
    """A quadratic whose optimum is known."""
    return (-np.sum((points - TOP) ** 2, -1)).tolist()


def swarm(worth, rounds, particles=32, bound=np.inf, **settings):
    positions, velocities = pso.scatter(KEY, particles, 3)
    settings = pso.SwarmSettings(patience=100, **settings)
    return by_swarm(worth, settings, positions, velocities, rounds, KEY, bound)


def evolution(worth, rounds, population=8, **settings):
    return by_evolution(worth, [0.0] * 3, 0.5, population, rounds, KEY, **settings)


@pytest.mark.parametrize(("search", "near"), [(swarm, 0.1), (evolution, 0.01)])
def test_finds_the_top_of_a_quadratic(search, near):
    found = search(hill, 40)
    np.testing.assert_allclose(found.point, TOP, atol=near)
    assert found.worth == max(found.history) == found.history[-1]
    assert list(found.history) == sorted(found.history)
    assert hill(found.point[None])[0] == pytest.approx(found.worth)


@pytest.mark.parametrize("search", [swarm, evolution])
def test_draws_follow_the_key_alone(search):
    one, two = search(hill, 3), search(hill, 3)
    np.testing.assert_array_equal(one.point, two.point)


@pytest.mark.parametrize("search", [swarm, evolution])
def test_candidates_stay_within_the_bound(search):
    seen = []

    def worth(points):
        seen.append(points)
        return np.sum(points, -1).tolist()

    found = search(worth, 12, bound=0.9)
    assert np.abs(seen[1:]).max() <= 0.9
    assert found.worth > 1.5


def test_a_particle_moves_as_the_formula_says():
    rounds = []
    settings = pso.SwarmSettings(weight_randomness=False)
    x = np.array([[0.0, 1.0], [2.0, 0.0], [1.0, 1.0]])
    v = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])

    def worth(points):
        rounds.append(points)
        return [1.0, 3.0, 2.0]

    by_swarm(worth, settings, jnp.array(x), jnp.array(v), 2, KEY)
    # Each stands at its own best; the second leads and the first trails
    moved = 0.2 * v + 0.4 * (x[1] - x) + 0.05 * (x - x[0])
    np.testing.assert_allclose(rounds[1], x + 0.5 * moved / 0.95, rtol=1e-5)


def test_the_first_of_equals_wins_and_patience_ends_a_search():
    calls = []

    def flat(points):
        calls.append(points)
        return [1.0] * len(points)

    found = evolution(flat, 50, patience=2)
    np.testing.assert_array_equal(found.point, np.zeros(3))
    assert len(calls) == 3


def test_a_single_number_can_be_searched():
    found = by_evolution(lambda p: (-((p[:, 0] - 0.3) ** 2)).tolist(), [0.0], 0.5, 4, 30, KEY)
    assert found.point[0] == pytest.approx(0.3, abs=0.05)


def test_candidates_go_into_their_population_one_at_a_time():
    kin, made = testing.dummy_pool(1)[0], []

    def candidates():
        for place in range(3):
            gc.collect()
            assert not [known for known in made if known()]
            params = jax.tree.map(lambda leaf, place=place: leaf + place, kin.params)
            one = kin.derive(f"candidate {place}", params, str(place))
            made.append(weakref.ref(one))
            yield one
            del one

    found = side_by_side(kin, candidates(), 3)
    assert [one.name for one in found] == ["candidate 0", "candidate 1", "candidate 2"]
    assert len({one.identity for one in found}) == 3
    for place, one in enumerate(found):
        assert one.variant.population.size == 3
        for leaf, first in zip(
            jax.tree.leaves(one.params), jax.tree.leaves(kin.params), strict=True
        ):
            np.testing.assert_array_equal(leaf, first + place)
