"""The score head reads the last real token, wherever the padding is."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import forward, init_params
from moco_jax.models.heads import score_sequences

CONFIG = ModelConfig(
    family="llama",
    vocab_size=23,
    hidden_size=8,
    intermediate_size=12,
    num_layers=1,
    num_heads=2,
    max_positions=32,
    num_labels=3,
)


@pytest.fixture(scope="module")
def params():
    return init_params(CONFIG, jax.random.key(0))


def test_score_is_the_head_on_the_last_hidden_state(params):
    tokens, positions = jnp.array([[4, 5, 6]]), jnp.arange(3)[None]
    hidden, _ = forward(CONFIG, params, tokens, positions)
    scores = score_sequences(CONFIG, params, tokens, positions)
    assert scores.shape == (1, 3)
    np.testing.assert_allclose(scores, hidden[:, 2] @ params["score"]["kernel"].T, rtol=1e-6)
    second = score_sequences(CONFIG, params, tokens, positions, jnp.array([1]))
    np.testing.assert_allclose(second, hidden[:, 1] @ params["score"]["kernel"].T, rtol=1e-6)


def test_padding_on_either_side_changes_nothing(params):
    tokens = jnp.array([[4, 5, 6, 0, 0], [0, 0, 4, 5, 6]])
    positions = jnp.array([[0, 1, 2, -1, -1], [-1, -1, 0, 1, 2]])
    scores = score_sequences(CONFIG, params, tokens, positions)
    alone = score_sequences(CONFIG, params, tokens[:1, :3], positions[:1, :3])
    np.testing.assert_allclose(scores, jnp.tile(alone, (2, 1)), rtol=1e-5, atol=1e-7)


def test_half_precision_weights_give_f32_scores(params):
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    scores = score_sequences(CONFIG, half, jnp.array([[4, 5]]), jnp.array([[0, 1]]))
    assert scores.dtype == jnp.float32


def test_language_models_have_no_score():
    config = dataclasses.replace(CONFIG, num_labels=0)
    with pytest.raises(ValueError, match="no score head"):
        score_sequences(config, {}, jnp.array([[4]]), jnp.array([[0]]))
