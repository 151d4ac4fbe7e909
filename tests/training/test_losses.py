import jax
import jax.numpy as jnp
import numpy as np

from moco_jax.training.losses import answer_cross_entropy, token_logprobs


def test_log_probability_is_log_softmax_at_the_target():
    logits = jax.random.normal(jax.random.key(0), (2, 3, 5))
    targets = jnp.array([[0, 4, 2], [1, 1, 3]])
    expected = np.take_along_axis(
        np.asarray(jax.nn.log_softmax(logits)), np.asarray(targets)[..., None], -1
    )[..., 0]
    np.testing.assert_allclose(token_logprobs(logits, targets), expected, rtol=1e-5)


def test_only_answer_tokens_count():
    logits = jax.random.normal(jax.random.key(1), (1, 4, 6))
    targets = jnp.array([[1, 2, 3, 4]])
    weights = jnp.array([[0.0, 0.0, 1.0, 1.0]])
    loss, metrics = answer_cross_entropy(logits, targets, weights)
    np.testing.assert_allclose(loss, -token_logprobs(logits, targets)[0, 2:].mean(), rtol=1e-6)
    assert metrics["tokens"] == 2
    gradient = jax.grad(lambda x: answer_cross_entropy(x, targets, weights)[0])(logits)
    assert not np.any(gradient[0, :2])


def test_a_batch_of_padding_is_worth_nothing():
    zeros = jnp.zeros((2, 3))
    loss, metrics = answer_cross_entropy(jnp.zeros((2, 3, 4)), zeros.astype(int), zeros)
    assert loss == 0 and metrics["tokens"] == 0


def test_half_precision_logits_are_read_in_full_precision():
    logits = jnp.array([[[8.0, 8.0, 8.0]]], jnp.bfloat16)
    loss, _ = answer_cross_entropy(logits, jnp.zeros((1, 1), int), jnp.ones((1, 1)))
    assert loss.dtype == jnp.float32
    np.testing.assert_allclose(loss, np.log(3), rtol=1e-6)
