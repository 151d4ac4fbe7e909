"""Pure loss functions; log-probabilities are taken in float32."""

import jax
import jax.numpy as jnp


def token_logprobs(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Log-probability of every target.

    Args:
        logits: f32[..., V].
        targets: i32[...]; values outside 0..V-1 are clipped, so padding may hold anything.

    Returns:
        f32[...].
    """
    logits = logits.astype(jnp.float32)
    chosen = jnp.take_along_axis(logits, targets[..., None], axis=-1, mode="clip")[..., 0]
    return chosen - jax.nn.logsumexp(logits, axis=-1)


def answer_cross_entropy(
    logits: jax.Array, targets: jax.Array, weights: jax.Array
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Mean negative log-likelihood of the answer tokens, and only of those.

    Args:
        logits: f32[B, S, V], at every position for the token that follows.
        targets: i32[B, S], the tokens that follow.
        weights: f32[B, S], 1 where the target belongs to an answer (its end token included).

    Returns:
        f32 scalar in nats per answer token (0 where there is none), and metrics: `loss`,
        `accuracy` (share of answer tokens that are the most likely ones), `tokens`.
    """
    tokens = weights.sum()
    scale = 1.0 / jnp.maximum(tokens, 1.0)
    loss = -(token_logprobs(logits, targets) * weights).sum() * scale
    accuracy = ((logits.argmax(-1) == targets) * weights).sum() * scale
    return loss, {"loss": loss, "accuracy": accuracy, "tokens": tokens}
