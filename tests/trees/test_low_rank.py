"""Combinations of low-rank updates against dense products in numpy."""

import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.trees.low_rank import combine, mixtures

N, P, WIDE, RANK, OUT = 3, 4, 5, 2, 6
RNG = np.random.default_rng(0)
BANK = {
    "layers_0": {
        "mlp": {
            "a": RNG.normal(size=(N, WIDE, RANK)).astype(np.float32),
            "b": RNG.normal(size=(N, RANK, OUT)).astype(np.float32),
        }
    }
}
WEIGHTS = RNG.normal(size=(P, N)).astype(np.float32)
A, B = (BANK["layers_0"]["mlp"][side].astype(float) for side in "ab")


def dense(bank):
    factors = bank["layers_0"]["mlp"]
    return np.asarray(factors["a"], float) @ np.asarray(factors["b"], float)


def test_deltas_are_the_weighted_sums_of_the_products():
    found = combine(BANK, WEIGHTS, "delta")
    assert found["layers_0"]["mlp"]["a"].shape == (P, WIDE, N * RANK)
    for row, product in zip(WEIGHTS, dense(found), strict=True):
        wanted = sum(w * a @ b for w, a, b in zip(row, A, B, strict=True))
        np.testing.assert_allclose(product, wanted, rtol=1e-5, atol=1e-5)


def test_factors_are_summed_each_for_itself():
    found = combine(BANK, WEIGHTS, "factors")
    assert found["layers_0"]["mlp"]["a"].shape == (P, WIDE, RANK)
    for row, product in zip(WEIGHTS, dense(found), strict=True):
        wanted = np.tensordot(row, A, 1) @ np.tensordot(row, B, 1)
        np.testing.assert_allclose(product, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("space", ["factors", "delta"])
def test_one_update_alone_is_itself(space):
    np.testing.assert_allclose(dense(combine(BANK, np.eye(N), space)), A @ B, rtol=1e-6)


def test_a_missing_weight_is_refused():
    with pytest.raises(ValueError, match="one weight per update"):
        combine(BANK, WEIGHTS[:, :2], "delta")


def test_mixtures_of_whole_trees_keep_their_dtype():
    trees = [{"w": jnp.asarray(a, jnp.bfloat16)} for a in A]
    found = mixtures(trees, WEIGHTS)["w"]
    assert found.dtype == jnp.bfloat16
    wide = np.stack([np.asarray(tree["w"], np.float32) for tree in trees])
    wanted = np.einsum("pn,nio->pio", WEIGHTS, wide)
    np.testing.assert_allclose(np.asarray(found, np.float32), wanted, rtol=1e-2, atol=1e-2)
    exact = mixtures(trees, np.eye(N))["w"]
    np.testing.assert_array_equal(np.asarray(exact[1]), np.asarray(trees[1]["w"]))
