"""SLERP, the Karcher mean, model stock and layer-wise settings against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.trees import (
    Average,
    Karcher,
    Layerwise,
    ModelStock,
    Slerp,
    TaskVectorMerge,
    merge_trees,
)

KEY = jax.random.key(0)
RNG = np.random.default_rng(1)
LEAVES = RNG.normal(size=(3, 5, 40)).astype(np.float32)


def merged(rule, leaves, base=None):
    return np.asarray(jax.jit(rule)(jnp.asarray(leaves), base, KEY))


def test_slerp_of_unit_vectors_stays_on_the_circle():
    angle = 1.1
    pair = np.array([[1.0, 0.0], [np.cos(angle), np.sin(angle)]], np.float32)
    for t in (0.0, 0.25, 1.0):
        wanted = [np.cos(t * angle), np.sin(t * angle)]
        np.testing.assert_allclose(merged(Slerp(t), pair), wanted, atol=1e-6)


def test_slerp_of_parallel_and_opposite_tensors_is_linear():
    pair = np.array([[1.0, 2.0], [2.0, 4.0]], np.float32)
    np.testing.assert_allclose(merged(Slerp(0.25), pair), [1.25, 2.5], rtol=1e-6)
    np.testing.assert_allclose(merged(Slerp(0.5), pair * [[1], [0]]), [0.5, 1.0], rtol=1e-6)
    opposite = np.array([[1.0, 2.0], [-1.0, -2.0]], np.float32)
    np.testing.assert_allclose(merged(Slerp(0.25), opposite), [0.5, 1.0], rtol=1e-6)


def test_karcher_of_two_is_the_middle_of_the_arc():
    pair = LEAVES[:2] / np.linalg.norm(LEAVES[:2], axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(
        merged(Karcher(), pair), merged(Slerp(0.5), pair), rtol=1e-4, atol=1e-5
    )


def test_karcher_leaves_no_pull_on_the_sphere():
    mean = merged(Karcher(max_iterations=30), LEAVES).ravel().astype(float)
    norms = np.linalg.norm(LEAVES.reshape(3, -1), axis=1)
    np.testing.assert_allclose(np.linalg.norm(mean), norms.mean(), rtol=1e-4)
    mean /= np.linalg.norm(mean)
    pull = np.zeros_like(mean)
    for leaf, norm in zip(LEAVES.reshape(3, -1).astype(float), norms, strict=True):
        cosine = leaf @ mean / norm
        angle = np.arccos(cosine)
        pull += angle / np.sin(angle) * (leaf / norm - cosine * mean)
    assert np.linalg.norm(pull) < 1e-3


def test_karcher_takes_zeros_and_opposites():
    zero = np.stack([LEAVES[0], np.zeros_like(LEAVES[0])])
    np.testing.assert_allclose(merged(Karcher(), zero), LEAVES[0] / 2, rtol=1e-5)
    assert not merged(Karcher(), np.zeros((2, 4), np.float32)).any()
    opposite = np.stack([LEAVES[0], -LEAVES[0]])
    assert np.isfinite(merged(Karcher(), opposite)).all()


def test_model_stock_follows_the_angle():
    base = RNG.normal(size=(5, 40)).astype(np.float32)
    vectors = (LEAVES - base).reshape(3, -1).astype(float)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = np.mean([unit[0] @ unit[1], unit[0] @ unit[2], unit[1] @ unit[2]])
    share = 3 * cosine / (1 + 2 * cosine)
    wanted = share * LEAVES.mean(0) + (1 - share) * base
    np.testing.assert_allclose(merged(ModelStock(), LEAVES, base), wanted, rtol=1e-4, atol=1e-5)
    opposite = np.stack([base + 1, base - 1])
    np.testing.assert_array_equal(merged(ModelStock(), opposite, base), base)
    np.testing.assert_array_equal(merged(ModelStock(), np.stack([base] * 2), base), base)


def test_a_curve_runs_over_the_layers():
    curve = Layerwise(Slerp(), "t", (0.0, 1.0), outside=0.5, layers=3)
    pair = np.array([[0.0, 0.0], [2.0, 4.0]], np.float32)
    trees = [{f"layers_{i}": {"x": row} for i in range(3)} | {"norm": row} for row in pair]
    got = merge_trees(curve, trees, None, KEY)
    np.testing.assert_allclose(got["layers_0"]["x"], pair[0])
    np.testing.assert_allclose(got["layers_1"]["x"], pair[1] / 2)
    np.testing.assert_allclose(got["layers_2"]["x"], pair[1])
    np.testing.assert_allclose(got["norm"], pair[1] / 2)
    weights = Layerwise(
        TaskVectorMerge(), "weights", ((1.0, 0.0), (0.0, 1.0)), outside=(0.5, 0.5), layers=5
    )
    assert weights.at("layers_1/mlp/up_proj/kernel").weights == (0.75, 0.25)
    assert weights.at("embed_tokens/embedding").weights == (0.5, 0.5)


def test_what_cannot_be_is_named():
    with pytest.raises(ValueError, match="there are 3"):
        merged(Slerp(), LEAVES)
    single = merged(ModelStock(), LEAVES[:1], LEAVES[1])
    np.testing.assert_allclose(single, LEAVES[0], rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="for 3 models"):
        merged(Karcher(weights=(1.0,)), LEAVES)
    assert Average().origin == "first"
