"""The sequence-classification head: one score per label from a sequence's last token.

Reward models are such classifiers with one label. `load_checkpoint` reads them like any other: the
`score` kernel [L, D] stands where a language model has its lm_head.
"""

import jax
import jax.numpy as jnp

from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import Params, forward
from moco_jax.models.linear import linear


def score_sequences(
    config: ModelConfig,
    params: Params,
    tokens: jax.Array,
    positions: jax.Array,
    last_index: jax.Array | None = None,
) -> jax.Array:
    """Scores f32[B, L] of whole sequences, one per label; a reward model has L = 1.

    Args:
        config: of the classifier; static under jit.
        params: its parameters.
        tokens: i32[B, S].
        positions: i32[B, S], absolute; negative marks padding, on either side.
        last_index: i32[B], the column whose hidden state is scored; left out, the last token that
            is no padding. (transformers looks for the padding token's id instead, and so steps
            back over real tokens of that id, such as a closing EOS in models that pad with it.)

    Raises:
        ValueError: the model is a language model without such a head.
    """
    if not config.num_labels:
        raise ValueError(
            "this checkpoint has no score head; a reward model's config.json names an architecture "
            "that ends in ForSequenceClassification. Load such a checkpoint."
        )
    if last_index is None:
        last_index = jnp.argmax(positions, axis=1)
    hidden, _ = forward(config, params, tokens, positions)
    last = jnp.take_along_axis(hidden, last_index[:, None, None], axis=1)[:, 0]
    return linear(last, params["score"]["kernel"])
