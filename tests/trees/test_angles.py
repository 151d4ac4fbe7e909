"""The angle between task vectors, against NumPy, and what follows from it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.trees.angles import PARALLEL, mean_cosine, task_vector_products


def trees(count, spread, seed=0):
    """A base, and models that went `spread` times farther together than each for itself."""
    rng = np.random.default_rng(seed)

    def tree():
        return {"a": rng.normal(size=(40, 30)), "b": {"c": rng.normal(size=500)}}

    base, way = tree(), tree()
    models = [
        jax.tree.map(lambda x, w, o: x + spread * w + o, base, way, tree()) for _ in "x" * count
    ]
    return models, base


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def test_products_are_those_of_the_flat_vectors():
    models, base = trees(3, 0.7)
    vectors = np.stack([flat(model) - flat(base) for model in models])
    found = task_vector_products(*jax.tree.map(jnp.asarray, (models, base)))
    np.testing.assert_allclose(found, vectors @ vectors.T, rtol=1e-4)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    wanted = np.mean([(units @ units.T)[pair] for pair in ((0, 1), (0, 2), (1, 2))])
    assert mean_cosine(found) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize(("spread", "parallel"), [(0.0, False), (1.0, False), (4.0, True)])
def test_the_cosine_is_the_share_of_the_common_way(spread, parallel):
    models, base = trees(3, spread)
    cosine = mean_cosine(task_vector_products(models, base))
    assert cosine == pytest.approx(spread**2 / (1 + spread**2), abs=0.05)
    assert (cosine >= PARALLEL) == parallel


def test_without_a_pair_there_is_no_cosine():
    models, base = trees(1, 1.0)
    assert mean_cosine(task_vector_products(models, base)) is None
    assert mean_cosine(task_vector_products([*models, base], base)) is None
