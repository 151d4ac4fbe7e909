"""What a model costs, counted from its config alone."""

import functools
import math

from moco_jax.models.config import ModelConfig
from moco_jax.models.families import tensor_table


def count_params(config: ModelConfig) -> int:
    """Number of parameters; tied embeddings count once."""
    return sum(math.prod(spec.shape) for spec in tensor_table(config))


def flops_per_token(config: ModelConfig, context: int, logits: bool = True) -> int:
    """Forward FLOPs of one token: two per multiply-add of every matrix product.

    Norms, rotations and softmax are left out, as is usual (Kaplan et al., arXiv 2001.08361).

    Args:
        config: the model.
        context: how many positions the token sees, itself included; sliding layers see at most
            their window.
        logits: count the output layer.
    """
    table = tensor_table(config)
    heads = ("lm_head", "score")
    kernels = [spec for spec in table if spec.path[-1] == "kernel" and spec.path[0] not in heads]
    weights = sum(math.prod(spec.shape) for spec in kernels)
    seen = sum(min(context, window or context) for window in config.windows)
    mixing = 2 * seen * config.num_heads * config.head_dim
    output = config.hidden_size * (config.num_labels or config.vocab_size) if logits else 0
    return 2 * (weights + mixing + output)


@functools.lru_cache(maxsize=65536)
def generation_flops(config: ModelConfig, prompt: int, new: int) -> int:
    """FLOPs of reading a prompt and generating `new` tokens; only the latter need logits."""
    fed = prompt + max(new - 1, 0)
    dense = _dense_flops(config) * fed
    seen = sum(_positions_seen(fed, window) for window in config.windows)
    logits = 2 * config.hidden_size * config.vocab_size * new
    return dense + 4 * seen * config.num_heads * config.head_dim + logits


@functools.lru_cache(maxsize=64)
def _dense_flops(config: ModelConfig) -> int:
    return flops_per_token(config, 0, logits=False)


def _positions_seen(count: int, window: int | None) -> int:
    """Sum over `count` tokens of how many positions each attends to."""
    free = count if window is None else min(window, count)
    return free * (free + 1) // 2 + (count - free) * (window or 0)
