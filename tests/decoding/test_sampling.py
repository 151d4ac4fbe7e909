"""Penalty, draws and the log-probability of what was drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.decoding import sampling
from moco_jax.decoding.sampling import Filters, Knobs, penalise, token_logprob
from moco_jax.decoding.types import Sampling

draw = jax.jit(sampling.draw, static_argnums=0)


def settings_of(**fields):
    chosen = Sampling(**{"temperature": 1.0, "top_p": 1.0, **fields})
    return Filters.of(chosen), Knobs.of(chosen)


def test_penalty_divides_positive_and_multiplies_negative_logits():
    logits = jnp.array([[2.0, -2.0, 3.0]])
    seen = jnp.array([[True, True, False]])
    np.testing.assert_allclose(penalise(logits, seen, 2.0), [[1.0, -4.0, 3.0]])


def test_a_penalty_comes_before_the_choice():
    filters, knobs = settings_of(temperature=0.0, repetition_penalty=2.0)
    logits, seen = jnp.array([[4.0, 3.0]]), jnp.array([[True, False]])
    np.testing.assert_array_equal(draw(filters, knobs, None, logits, seen), [1])


def test_greedy_takes_the_first_of_equals_and_needs_no_key():
    filters, knobs = settings_of(temperature=0.0)
    logits = jnp.zeros((2, 300)).at[0, 70].set(5).at[0, 270].set(5).at[1, 299].set(1)
    np.testing.assert_array_equal(draw(filters, knobs, None, logits, None), [70, 299])


def test_draws_follow_the_filtered_distribution():
    filters, knobs = settings_of(temperature=0.5, top_p=0.9, top_k=3)
    logits = jnp.array([2.0, 1.5, 1.0, 0.5, -1.0])
    rows = 20_000
    keys = jax.random.split(jax.random.key(0), rows)
    tokens = draw(filters, knobs, keys, jnp.tile(logits, (rows, 1)), None)
    probs = np.exp(np.asarray(logits) / 0.5)
    probs[3:] = 0
    probs /= probs.sum()
    # Top-3 holds the mass; 0.9 of it needs the first two and the third (0.665 + 0.245 < 0.911).
    expected = probs if probs[:2].sum() < 0.9 else np.array([*probs[:2], 0, 0, 0])
    expected /= expected.sum()
    counts = np.bincount(np.asarray(tokens), minlength=5) / rows
    np.testing.assert_allclose(counts, expected, atol=0.02)


@pytest.mark.parametrize("fields", [{}, {"top_k": 20}, {"top_p": 0.95}])
@pytest.mark.parametrize("vocab", [50, 700])
def test_a_row_draws_the_same_at_any_batch_size(fields, vocab):
    filters, knobs = settings_of(**fields)
    logits = jax.random.normal(jax.random.key(1), (8, vocab))
    keys = jax.random.split(jax.random.key(2), 8)
    together = draw(filters, knobs, keys, logits, None)
    alone = [draw(filters, knobs, keys[i : i + 1], logits[i : i + 1], None)[0] for i in range(8)]
    np.testing.assert_array_equal(together, alone)


def test_logprob_is_that_of_the_softmax():
    logits = jax.random.normal(jax.random.key(3), (4, 11)) * 5
    token = jnp.array([0, 10, 3, 3])
    expected = jax.nn.log_softmax(logits)[jnp.arange(4), token]
    np.testing.assert_allclose(token_logprob(logits, token), expected, atol=1e-5)


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
