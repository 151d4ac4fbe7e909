"""Filters and draws against sorting, brute force and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moco_jax.decoding.sampling import (
    Filters,
    Knobs,
    draw,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    largest_threshold,
    penalise,
)
from moco_jax.decoding.types import Sampling

seeds = st.integers(0, 2**31 - 1)


def random_probs(seed: int, rows: int = 3, vocab: int = 17) -> np.ndarray:
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(vocab, 0.3), rows).astype(np.float32)
    return probs / probs.sum(-1, keepdims=True, dtype=np.float32)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, k=st.integers(1, 17))
def test_top_k_keeps_the_k_largest(seed, k):
    probs = random_probs(seed)
    kept = np.asarray(keep_top_k(jnp.asarray(probs), k))
    for row, out in zip(probs, kept, strict=True):
        threshold = np.sort(row)[-k]
        np.testing.assert_array_equal(out, np.where(row >= threshold, row, 0))


@settings(max_examples=30, deadline=None)
@given(seed=seeds, p=st.floats(0.05, 0.999))
def test_top_p_keeps_the_smallest_set_that_reaches_p(seed, p):
    probs = random_probs(seed)
    kept = np.asarray(keep_top_p(jnp.asarray(probs), p))
    for row, out in zip(probs, kept, strict=True):
        order = np.argsort(-row, kind="stable")
        mass = np.cumsum(row[order], dtype=np.float64)
        # The boundary may fall on either side of a rounding error, never further.
        count = np.searchsorted(mass, p * mass[-1]) + 1
        found = int((out > 0).sum())
        assert abs(found - count) <= 1
        assert set(np.flatnonzero(out)) == set(order[:found])
        assert out.sum() >= p - 1e-5


def test_min_p_is_relative_to_the_most_likely_token():
    probs = jnp.array([[0.5, 0.26, 0.14, 0.1], [0.97, 0.01, 0.01, 0.01]])
    kept = np.asarray(keep_min_p(probs, 0.25))
    np.testing.assert_array_equal(kept > 0, [[1, 1, 1, 0], [1, 0, 0, 0]])


def test_threshold_is_exact_to_the_last_bit():
    value = np.float32(0.1)
    found = largest_threshold(lambda t: (t <= value)[:, 0], 2)
    np.testing.assert_array_equal(np.asarray(found)[:, 0], [value, value])


def test_penalty_divides_positive_and_multiplies_negative_logits():
    logits = jnp.array([[2.0, -2.0, 3.0]])
    seen = jnp.array([[True, True, False]])
    np.testing.assert_allclose(penalise(logits, seen, 2.0), [[1.0, -4.0, 3.0]])


def test_draws_follow_the_filtered_distribution():
    sampling = Sampling(temperature=0.5, top_p=0.9, top_k=3)
    logits = jnp.array([2.0, 1.5, 1.0, 0.5, -1.0])
    rows = 20_000
    keys = jax.random.split(jax.random.key(0), rows)
    tokens = draw(Filters.of(sampling), Knobs.of(sampling), keys, jnp.tile(logits, (rows, 1)), None)
    probs = np.exp(np.asarray(logits) / 0.5)
    probs[3:] = 0
    probs /= probs.sum()
    # Top-3 holds the mass; 0.9 of it needs the first two and the third (0.665 + 0.245 < 0.911).
    expected = probs if probs[:2].sum() < 0.9 else np.array([*probs[:2], 0, 0, 0])
    expected /= expected.sum()
    counts = np.bincount(np.asarray(tokens), minlength=5) / rows
    np.testing.assert_allclose(counts, expected, atol=0.02)


def test_a_row_draws_the_same_at_any_batch_size():
    sampling = Sampling(temperature=1.0, top_p=1.0)
    logits = jax.random.normal(jax.random.key(1), (8, 50))
    keys = jax.random.split(jax.random.key(2), 8)
    filters, knobs = Filters.of(sampling), Knobs.of(sampling)
    together = draw(filters, knobs, keys, logits, None)
    alone = [draw(filters, knobs, keys[i : i + 1], logits[i : i + 1], None)[0] for i in range(8)]
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -1.0),
        ("temperature", float("inf")),
        ("top_p", 0.0),
        ("top_p", 1.5),
        ("top_k", -1),
        ("min_p", 1.0),
        ("max_new_tokens", 0),
        ("repetition_penalty", 0.0),
        ("overflow", "cut"),
        ("stop", ("",)),
    ],
)
def test_bad_settings_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=f"Sampling.{field}"):
        Sampling(**{field: value})
