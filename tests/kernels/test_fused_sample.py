"""Filters against sorting; draws against the distributions they come from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moco_jax.kernels.fused_sample import (
    Filters,
    Knobs,
    argmax,
    bounds,
    fused_sample,
    largest_threshold,
    pallas,
    reference,
    uniforms,
)
from moco_jax.kernels.fused_sample.blocks import inverse_cdf, largest
from moco_jax.kernels.fused_sample.reference import CANDIDATES

# Compiled once per shape, not traced again for every example.
least_kept = jax.jit(bounds.least_kept, static_argnums=0)
sample = jax.jit(reference.sample, static_argnums=0)
draw_among_candidates = jax.jit(reference.draw_among_candidates, static_argnums=0)
seeds = st.integers(0, 2**31 - 1)


def chosen(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0):
    filters = Filters(False, top_k > 0, top_p < 1, min_p > 0, False)
    return filters, Knobs(temperature, top_k, top_p, min_p, 1.0)


def random_logits(seed, rows=3, vocab=17, scale=2.0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, scale, (rows, vocab)).astype(np.float32)


def kept_by_sorting(logits, temperature, top_k, top_p, min_p):
    """Which tokens of one row stay, and how near the nucleus came to one token more or less."""
    probs = np.exp((logits.astype(np.float64) - logits.max()) / temperature)
    kept = np.ones(len(probs), bool)
    if top_k:
        kept = probs >= np.sort(probs)[-min(top_k, len(probs))]
    margin = 1.0
    if top_p < 1:
        order = np.argsort(-np.where(kept, probs, 0), kind="stable")
        mass = np.cumsum(np.where(kept, probs, 0)[order])
        mass /= mass[-1]
        margin = np.abs(mass - top_p).min()
        kept = kept & (probs >= probs[order[np.searchsorted(mass, top_p)]])
    if min_p:
        kept = kept & (probs >= min_p)
    return kept, margin


@settings(max_examples=30, deadline=None)
@given(
    seed=seeds,
    top_k=st.integers(0, 20),
    top_p=st.floats(0.05, 1.0),
    min_p=st.sampled_from([0.0, 0.02, 0.3]),
)
def test_filters_keep_what_sorting_keeps(seed, top_k, top_p, min_p):
    logits = random_logits(seed)
    filters, knobs = chosen(0.7, top_k, top_p, min_p)
    bound = np.asarray(least_kept(filters, knobs, jnp.asarray(logits)))
    for row, least in zip(logits, bound, strict=True):
        kept, margin = kept_by_sorting(row, 0.7, top_k, top_p, min_p)
        if margin > 1e-5:
            np.testing.assert_array_equal(row >= least, kept)


def test_tokens_that_tie_at_the_boundary_all_stay():
    logits = jnp.array([[3.0, 1.0, 1.0, 1.0, 0.0]])
    for filters, knobs in (chosen(top_k=2), chosen(top_p=0.75)):
        np.testing.assert_array_equal(least_kept(filters, knobs, logits), [[1.0]])


def test_threshold_is_exact_to_the_last_bit():
    value = np.float32(0.1)
    found = largest_threshold(lambda t: (t <= value)[:, 0], 2)
    np.testing.assert_array_equal(np.asarray(found)[:, 0], [value, value])


@pytest.mark.parametrize(
    ("top_k", "top_p", "min_p"),
    [(5, 1.0, 0.0), (0, 0.8, 0.0), (0, 1.0, 0.1), (100, 0.9, 0.05), (0, 0.999, 0.0)],
)
def test_candidates_and_the_whole_vocabulary_keep_the_same(top_k, top_p, min_p):
    vocab, rows = 3 * CANDIDATES + 7, 64
    logits = jnp.asarray(random_logits(top_k, 1, vocab, 3.0))
    filters, knobs = chosen(0.7, top_k, top_p, min_p)
    allowed = np.asarray(logits[0] >= least_kept(filters, knobs, logits)[0])
    u = uniforms(jax.random.split(jax.random.key(0), rows))
    tiled = jnp.tile(logits, (rows, 1))
    tokens, settled = draw_among_candidates(filters, knobs, tiled, u)
    assert np.all(np.asarray(settled) == (allowed.sum() < CANDIDATES))
    assert allowed[np.asarray(sample(filters, knobs, u, tiled))].all()
    if settled[0]:
        assert allowed[np.asarray(tokens)].all()


@pytest.mark.parametrize("vocab", [5, 300])
@pytest.mark.parametrize("knobs", [{}, {"top_p": 0.99}, {"top_k": 4}])
def test_draws_follow_the_distribution(vocab, knobs):
    rows = 3000
    logits = random_logits(7, 1, vocab, 1.5)
    filters, values = chosen(0.8, **knobs)
    kept, _ = kept_by_sorting(logits[0], 0.8, knobs.get("top_k", 0), knobs.get("top_p", 1.0), 0.0)
    probs = np.where(kept, np.exp(logits[0].astype(np.float64) / 0.8), 0)
    probs /= probs.sum()
    u = uniforms(jax.random.split(jax.random.key(vocab), rows))
    tokens = np.asarray(
        jax.jit(sample, static_argnums=0)(filters, values, u, jnp.tile(logits, (rows, 1)))
    )
    assert kept[tokens].all()
    # Rare tokens together, so that every cell expects some draws; chi-square, five sigmas.
    order = np.argsort(-probs)
    cells = np.minimum((np.cumsum(probs[order]) * 12).astype(int), 11)
    cell = np.empty(vocab, int)
    cell[order] = cells
    expected = np.bincount(cell, probs, 12) * rows
    counts = np.bincount(cell[tokens], minlength=12)
    used = expected > 5
    statistic = ((counts - expected)[used] ** 2 / expected[used]).sum()
    freedom = max(used.sum() - 1, 1)
    assert statistic < freedom + 5 * np.sqrt(2 * freedom)


def test_rows_with_flat_and_peaked_logits_do_not_touch_each_other():
    vocab = 500
    flat = random_logits(0, 1, vocab, 0.01)
    peaked = random_logits(1, 1, vocab, 8.0)
    filters, knobs = chosen(top_p=0.9)
    u = uniforms(jax.random.split(jax.random.key(5), 2))
    both = sample(filters, knobs, u, jnp.concatenate([flat, peaked]))
    assert both[0] == sample(filters, knobs, u[:1], jnp.asarray(flat))[0]
    assert both[1] == sample(filters, knobs, u[1:], jnp.asarray(peaked))[0]


@settings(max_examples=30, deadline=None)
@given(seed=seeds, u=st.sampled_from([0.0, 0.5, float(np.nextafter(np.float32(1), 0))]))
def test_an_index_of_weight_zero_is_never_drawn(seed, u):
    rng = np.random.default_rng(seed)
    weights = np.where(rng.random((4, 33)) < 0.7, 0, rng.random((4, 33)) ** 20).astype(np.float32)
    weights[:, 11] = 1e-30
    index = inverse_cdf(jnp.asarray(weights), jnp.full(4, u, jnp.float32))
    assert (weights[np.arange(4), np.asarray(index)] > 0).all()


def test_tokens_ruled_out_by_minus_infinity_are_never_drawn():
    logits = jnp.full((200, 400), -jnp.inf).at[:, 133].set(0.0).at[:, 390].set(-1.0)
    u = uniforms(jax.random.split(jax.random.key(1), 200))
    tokens = sample(*chosen(), u, logits)
    assert set(np.asarray(tokens)) == {133, 390}


@pytest.mark.parametrize("vocab", [3, 64, 1000, 9001])
def test_argmax_and_largest_agree_with_sorting(vocab):
    values = random_logits(vocab, 3, vocab)
    np.testing.assert_array_equal(argmax(jnp.asarray(values)), values.argmax(1))
    count = min(vocab, 10)
    found, index = largest(jnp.asarray(values), count)
    np.testing.assert_array_equal(found, -np.sort(-values, 1)[:, :count])
    np.testing.assert_array_equal(np.take_along_axis(values, np.asarray(index), 1), found)


def test_members_are_combined_by_each_rows_weights():
    logits = jax.random.normal(jax.random.key(0), (2, 3, 40))
    weights = jnp.array([[1.0, 0.0], [0.0, 1.0], [2.0, -1.0]])
    filters = Filters(True, False, False, False, False)
    keys = jax.random.split(jax.random.key(1), 3)
    token, logprob = fused_sample(filters, Knobs(0.0, 0, 1.0, 0.0, 1.0), keys, logits, weights)
    mixed = [logits[0, 0], logits[1, 1], 2 * logits[0, 2] - logits[1, 2]]
    np.testing.assert_array_equal(token, [row.argmax() for row in mixed])
    expected = [jax.nn.log_softmax(row).max() for row in mixed]
    np.testing.assert_allclose(logprob, expected, atol=1e-5)


def test_mixing_is_the_weighted_sum():
    logits = jax.random.normal(jax.random.key(0), (3, 2, 9))
    weights = jax.random.normal(jax.random.key(1), (2, 3))
    expected = jnp.einsum("bm,mbv->bv", weights, logits)
    np.testing.assert_allclose(reference.mix(weights, logits), expected, atol=1e-5)


def test_a_penalty_is_refused():
    filters = Filters(True, False, False, False, True)
    with pytest.raises(ValueError, match="penalty"):
        fused_sample(filters, None, None, jnp.zeros((1, 1, 4)), jnp.ones((1, 1)))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"top_p": 0.95},
        {"top_k": 40, "top_p": 0.9, "min_p": 0.02},
    ],
)
def test_the_kernel_draws_what_the_reference_draws_from_the_whole_vocabulary(fields):
    rows, vocab = 12, 1500
    logits = jax.random.normal(jax.random.key(0), (2, rows, vocab)) * 2
    # A contrastive weight: filling up the vocabulary must not become its maximum.
    weights = jnp.tile(jnp.array([1.5, -0.5]), (rows, 1))
    u = uniforms(jax.random.split(jax.random.key(1), rows))
    filters, knobs = chosen(0.7, **fields)
    mixed = jnp.einsum("bm,mbv->bv", weights, logits)
    bound = least_kept(filters, knobs, mixed) if filters.any else jnp.full((rows, 1), -jnp.inf)
    expected = reference.draw_among_all(mixed, bound, knobs.temperature, u)
    token, logprob = pallas.fused_sample(filters, knobs, u, logits, weights, interpret=True)
    np.testing.assert_array_equal(token, expected)
    np.testing.assert_allclose(logprob, reference.token_logprob(mixed, expected), atol=1e-5)


def test_the_greedy_kernel_takes_the_first_maximum():
    logits = jnp.zeros((1, 2, 1100)).at[0, 0, 1030].set(3).at[0, 0, 1050].set(3).at[0, 1, 0].set(1)
    filters = Filters(True, False, False, False, False)
    knobs, u = Knobs(0.0, 0, 1.0, 0.0, 1.0), jnp.zeros((2, 2))
    token, logprob = pallas.fused_sample(
        filters, knobs, u, logits, jnp.ones((2, 1)), interpret=True
    )
    np.testing.assert_array_equal(token, [1030, 0])
    np.testing.assert_allclose(logprob, reference.token_logprob(logits[0], token), atol=1e-5)


def test_the_kernel_knows_tokens_ruled_out_by_minus_infinity():
    logits = jnp.full((2, 3, 1000), -jnp.inf).at[:, :, 7].set(0.0)
    filters, knobs = chosen(top_p=0.9)
    weights, u = jnp.tile(jnp.array([1.0, 0.0]), (3, 1)), jnp.full((3, 2), 0.999)
    token, logprob = pallas.fused_sample(filters, knobs, u, logits, weights, interpret=True)
    np.testing.assert_array_equal(token, [7, 7, 7])
    np.testing.assert_allclose(logprob, 0, atol=1e-6)
