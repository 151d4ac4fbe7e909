"""Tree arithmetic against numpy in float64."""

import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.trees import arithmetic


def trees(count, dtype=jnp.float32):
    rng = np.random.default_rng(0)
    return [
        {
            "a": jnp.asarray(rng.normal(size=(3, 2)), dtype),
            "b": {"c": jnp.asarray(rng.normal(size=4), dtype)},
        }
        for _ in range(count)
    ]


def test_weighted_sum_is_not_normalised():
    first, second = trees(2)
    total = arithmetic.weighted_sum([first, second], [2.0, -0.5])
    wanted = 2.0 * np.asarray(first["a"], float) - 0.5 * np.asarray(second["a"], float)
    np.testing.assert_allclose(total["a"], wanted, rtol=1e-6, atol=1e-6)


def test_mean_equals_numpy():
    pool = trees(5)
    got = arithmetic.mean(pool)["b"]["c"]
    wanted = np.mean([np.asarray(tree["b"]["c"], float) for tree in pool], axis=0)
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-7)


def test_mean_of_equal_trees_is_the_tree_itself():
    tree = trees(1, jnp.bfloat16)[0]
    np.testing.assert_array_equal(arithmetic.mean([tree, tree])["a"], tree["a"])


def test_narrow_trees_are_summed_in_float32_and_keep_their_dtype():
    # In bfloat16 each of the 300 additions of 1 to 256 would be lost
    parts = [{"a": jnp.full((2,), value, jnp.bfloat16)} for value in [256.0] + [1.0] * 300]
    total = arithmetic.weighted_sum(parts, [1.0] * len(parts))["a"]
    assert total.dtype == jnp.bfloat16
    np.testing.assert_array_equal(total, jnp.full((2,), 556.0, jnp.bfloat16))


def test_wrong_counts_are_named():
    with pytest.raises(ValueError, match="one weight per tree"):
        arithmetic.weighted_sum(trees(2), [1.0])
    with pytest.raises(ValueError, match="at least one"):
        arithmetic.mean([])
