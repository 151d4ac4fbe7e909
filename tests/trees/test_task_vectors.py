"""Task vectors merged: every published rule against numpy in float64, element by element."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.trees import TASK_VECTOR_MERGES, Average, TaskVectorMerge
from moco_jax.trees.draws import BLOCK, LEVELS, draw

KEY = jax.random.key(3)
RNG = np.random.default_rng(0)
BASE = RNG.normal(size=(6, 50)).astype(np.float32)
LEAVES = (BASE + RNG.normal(size=(3, 6, 50))).astype(np.float32)
VECTORS = LEAVES - BASE


def merged(rule, leaves=LEAVES, base=BASE, key=KEY):
    return np.asarray(jax.jit(rule)(jnp.asarray(leaves), None if base is None else base, key))


def elected_mean(vectors, weights):
    """TIES' second and third step, one element at a time."""
    out = np.zeros(vectors.shape[1:])
    for place in np.ndindex(out.shape):
        pulls = [w * v[place] for w, v in zip(weights, vectors, strict=True)]
        sign = 1 if sum(pulls) >= 0 else -1
        agree = [(p, w) for p, w in zip(pulls, weights, strict=True) if np.sign(p) == sign]
        if agree:
            out[place] = sum(p for p, _ in agree) / sum(w for _, w in agree)
    return out


def largest(vectors, count):
    """Zero but for the `count` largest magnitudes of each vector."""
    out = np.zeros_like(vectors)
    for kept, vector in zip(out, vectors, strict=True):
        chosen = np.argsort(-np.abs(vector), axis=None)[:count]
        kept.flat[chosen] = vector.flat[chosen]
    return out


def test_average_is_the_mean_and_equal_models_give_themselves():
    np.testing.assert_allclose(merged(Average(), base=None), LEAVES.mean(0), rtol=1e-5, atol=1e-6)
    same = np.stack([LEAVES[0]] * 3)
    np.testing.assert_array_equal(merged(Average(), same, None), LEAVES[0])
    np.testing.assert_array_equal(merged(Average(), LEAVES[:1], None), LEAVES[0])


def test_task_arithmetic_is_a_plain_sum():
    rule = TaskVectorMerge(weights=(1.0, -0.5, 2.0), lambda_=0.3)
    wanted = BASE + 0.3 * (VECTORS[0] - 0.5 * VECTORS[1] + 2.0 * VECTORS[2])
    np.testing.assert_allclose(merged(rule), wanted, rtol=1e-5, atol=1e-5)


def test_normalize_divides_by_the_weights():
    rule = TaskVectorMerge(weights=(1.0, 3.0, 2.0), normalize=True)
    wanted = BASE + np.average(VECTORS, axis=0, weights=[1, 3, 2])
    np.testing.assert_allclose(merged(rule), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (0.5, 2.0, 0.25)])
def test_ties_trims_elects_and_averages_what_agrees(weights):
    rule = TaskVectorMerge("magnitude", density=0.2, elect=True, normalize=True, weights=weights)
    wanted = BASE + elected_mean(largest(VECTORS, 60), weights)
    np.testing.assert_allclose(merged(rule), wanted, rtol=1e-5, atol=1e-5)


def test_the_kernel_and_the_pieces_agree_on_ties():
    rule = TaskVectorMerge("magnitude", density=0.3, elect=True, normalize=True)
    vectors = jnp.asarray(VECTORS)
    bounds = np.sort(np.abs(VECTORS).reshape(3, -1))[:, -90, None]
    known = rule.known(3, None, jnp.asarray(bounds))
    pieces = BASE + rule.combine(vectors, known, KEY, jnp.int32(0))
    np.testing.assert_allclose(merged(rule), pieces, rtol=1e-5, atol=1e-5)


def test_breadcrumbs_drop_the_largest_and_the_smallest():
    rule = TaskVectorMerge("outliers", density=0.5, gamma=0.1, weights=1.0)
    kept = largest(VECTORS, 30 + 150) - largest(VECTORS, 30)
    np.testing.assert_allclose(merged(rule), BASE + kept.sum(0), rtol=1e-5, atol=1e-5)


def test_few_elements_still_keep_one():
    rule = TaskVectorMerge("magnitude", density=0.01, elect=True, normalize=True)
    got = merged(rule, LEAVES[:, 0, :3], BASE[0, :3])
    wanted = BASE[0, :3] + elected_mean(largest(VECTORS[:, 0, :3], 1), [1 / 3] * 3)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def test_dare_keeps_a_share_and_makes_up_for_it():
    rule = TaskVectorMerge("random", density=0.25, rescale="density", weights=1.0)
    ones = np.ones((1, 200, 200), np.float32)
    got = merged(rule, ones, np.zeros((200, 200), np.float32))
    assert set(np.unique(got)) == {0.0, 4.0}
    np.testing.assert_allclose((got > 0).mean(), 0.25, atol=0.01)
    np.testing.assert_array_equal(got, merged(rule, ones, np.zeros((200, 200), np.float32)))
    other = merged(rule, ones, np.zeros((200, 200), np.float32), jax.random.key(4))
    assert (got != other).mean() > 0.2


def test_models_are_masked_independently():
    rule = TaskVectorMerge("random", density=0.5)
    known = rule.known(2, None, jnp.zeros((2, 0)))
    kept = np.asarray(rule.trimmed(jnp.ones((2, 100, 100)), known, KEY, jnp.int32(0)))
    np.testing.assert_allclose((kept[0] * kept[1]).mean(), 0.25, atol=0.02)


def test_dare_ties_is_ties_of_what_the_mask_leaves():
    rule = dataclasses.replace(TASK_VECTOR_MERGES["dare_ties"], normalize=True)
    known = rule.known(3, None, jnp.zeros((3, 0)))
    kept = np.asarray(rule.trimmed(jnp.asarray(VECTORS), known, KEY, jnp.int32(0)), float)
    stays = kept != 0
    np.testing.assert_allclose(kept[stays], 2 * VECTORS[stays], rtol=1e-6)
    wanted = BASE + elected_mean(kept, [1 / 3] * 3)
    np.testing.assert_allclose(merged(rule), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["dare_ties", "della"])
def test_the_mean_change_of_models_that_agree_survives_the_drop(name):
    ones = np.ones((3, 200, 200), np.float32)
    base = np.zeros((200, 200), np.float32)
    rule = TASK_VECTOR_MERGES[name]
    np.testing.assert_allclose(merged(rule, ones, base).mean(), 1.0, atol=0.02)
    # Whoever also divides by what is left ends up with P(one of three stays) / density
    rule = dataclasses.replace(TASK_VECTOR_MERGES["dare_ties"], normalize=True)
    np.testing.assert_allclose(merged(rule, ones, base).mean(), (1 - 0.5**3) / 0.5, atol=0.02)


def test_the_l1_norm_is_that_from_before():
    rule = TaskVectorMerge("random", density=0.5, rescale="l1", weights=(1.0,))
    change = merged(rule, LEAVES[:1]) - BASE
    np.testing.assert_allclose(np.abs(change).sum(), np.abs(VECTORS[0]).sum(), rtol=1e-4)


def test_della_favours_what_is_large_in_its_row():
    rule = TaskVectorMerge("rank", density=0.5, epsilon=0.4, weights=1.0)
    row = np.arange(1, 101, dtype=np.float32)
    got = merged(rule, np.tile(row, (1, 4000, 1)), np.zeros((4000, 100), np.float32))
    stays = (got > 0).mean(0)
    np.testing.assert_allclose(stays, np.linspace(0.1, 0.9, 100), atol=0.05)
    rescaled = merged(
        TaskVectorMerge("rank", density=0.5, epsilon=0.4, weights=1.0, rescale="density"),
        np.tile(row, (1, 4000, 1)),
        np.zeros((4000, 100), np.float32),
    )
    np.testing.assert_allclose(rescaled.mean(0), row, rtol=0.2)


def test_signs_are_elected_by_weighted_sum_and_zero_counts_as_plus():
    rule = TaskVectorMerge(elect=True)
    leaves = np.array([[[1.0, 3.0]], [[-1.0, -1.0]]], np.float32)
    got = merged(rule, leaves, np.zeros((1, 2), np.float32))
    np.testing.assert_allclose(got, [[0.5, 1.5]])


def test_pieces_draw_what_the_whole_draws():
    whole = draw(KEY, jnp.int32(0), 2, 5 * BLOCK + 100)
    piece = draw(KEY, jnp.int32(3), 2, BLOCK + 7)
    np.testing.assert_array_equal(whole[:, 3 * BLOCK : 4 * BLOCK + 7], piece)
    assert int(whole.max()) < LEVELS
    np.testing.assert_allclose(np.asarray(whole, float).mean() / LEVELS, 0.5, atol=0.01)


def test_every_row_runs_and_leaves_equal_models_at_the_base():
    same = np.stack([BASE] * 3)
    for name, rule in TASK_VECTOR_MERGES.items():
        np.testing.assert_array_equal(merged(rule, same), BASE, err_msg=name)
        assert np.isfinite(merged(rule)).all()


def test_what_cannot_be_is_named():
    with pytest.raises(ValueError, match="density is 0"):
        TaskVectorMerge(density=0.0)
    with pytest.raises(ValueError, match="gamma is 1"):
        TaskVectorMerge(gamma=1.0)
    with pytest.raises(ValueError, match=r"epsilon is 0\.6"):
        TaskVectorMerge("rank", density=0.5, epsilon=0.6)
    with pytest.raises(ValueError, match="for 3 models"):
        merged(TaskVectorMerge(weights=(1.0, 2.0)))
    with pytest.raises(ValueError, match="name the base"):
        merged(TaskVectorMerge(), base=None)
