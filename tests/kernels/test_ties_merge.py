"""TIES against a plain loop over parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.kernels import ties_merge
from moco_jax.kernels.ties_merge import pallas, reference


def by_hand(deltas, weights, density, by_count=False, normalize=True):
    deltas = deltas.astype(np.float64)
    size = deltas.shape[1]
    kept = np.zeros_like(deltas)
    for row, delta in enumerate(deltas):
        largest = np.argsort(-np.abs(delta), kind="stable")[: max(1, int(density * size))]
        kept[row, largest] = delta[largest]
    kept *= weights[:, None]
    merged = np.zeros(size)
    for place in range(size):
        column = kept[:, place]
        sign = 1 if (np.sign(column) if by_count else column).sum() >= 0 else -1
        agree = np.sign(column) == sign
        if agree.any():
            merged[place] = column[agree].sum() / (weights[agree].sum() if normalize else 1)
    return merged


@pytest.mark.parametrize("density", [0.01, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("by_count", [False, True])
@pytest.mark.parametrize("normalize", [False, True])
def test_agrees_with_a_loop(density, by_count, normalize):
    rng = np.random.default_rng(3)
    deltas = rng.standard_normal((4, 300)).astype(np.float32)
    weights = np.array([0.5, 1.0, 0.25, 0.7], np.float32)
    elect = "count" if by_count else "sum"
    merged = ties_merge(
        jnp.asarray(deltas), jnp.asarray(weights), density, elect=elect, normalize=normalize
    )
    expected = by_hand(deltas, weights, density, by_count, normalize)
    np.testing.assert_allclose(merged, expected, atol=1e-5)


def test_the_papers_three_steps():
    deltas = jnp.array([[4.0, 0.1, -3.0, 2.0], [2.0, 0.1, 5.0, -1.0]])
    # Trimmed to half: [4, 0, -3, 0] and [2, 0, 5, 0]; signs + + +; means of those that agree.
    merged = ties_merge(deltas, jnp.ones(2), 0.5)
    np.testing.assert_array_equal(merged, [3.0, 0.0, 5.0, 0.0])


def test_ties_at_the_boundary_stay():
    deltas = jnp.array([[1.0, -1.0, 1.0, 0.5]])
    np.testing.assert_array_equal(ties_merge(deltas, jnp.ones(1), 0.5), [1.0, -1.0, 1.0, 0.0])


def test_a_vector_of_zeros_changes_no_mean():
    deltas = jnp.array([[2.0, -2.0], [0.0, 0.0]])
    np.testing.assert_array_equal(ties_merge(deltas, jnp.ones(2), 0.5), [2.0, -2.0])


def test_weights_may_be_traced():
    deltas = jax.random.normal(jax.random.key(0), (3, 50))
    weights = jnp.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    together = jax.jit(jax.vmap(lambda w: ties_merge(deltas, w, 0.4)))(weights)
    np.testing.assert_allclose(together[0], ties_merge(deltas, weights[0], 0.4), atol=1e-6)


@pytest.mark.parametrize("density", [0.0, -0.1, 1.5])
def test_a_density_that_is_no_share_is_refused(density):
    with pytest.raises(ValueError, match="density"):
        ties_merge(jnp.ones((2, 4)), jnp.ones(2), density)


def test_an_unknown_election_is_refused():
    with pytest.raises(ValueError, match="elect"):
        ties_merge(jnp.ones((2, 4)), jnp.ones(2), 0.5, elect="median")


@pytest.mark.parametrize(("size", "density"), [(9000, 0.3), (4096, 1.0)])
def test_the_kernel_agrees_with_the_reference(size, density):
    by_count = density < 1
    deltas = jax.random.normal(jax.random.key(size), (3, size))
    weights, kept = jnp.array([0.2, 1.0, 0.5]), int(density * size)
    found = pallas.ties(deltas, weights, kept, by_count, True, interpret=True)
    expected = reference.ties(deltas, weights, kept, by_count, True)
    np.testing.assert_allclose(found, expected, atol=1e-6)
