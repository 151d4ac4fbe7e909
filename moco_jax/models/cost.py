"""Analytic cost: parameters and floating point operations, from the configuration alone."""

import math

from moco_jax.models.config import ModelConfig
from moco_jax.models.families import tensor_table


def count_params(config: ModelConfig) -> int:
    """Number of parameters in the checkpoint."""
    return sum(math.prod(spec.shape) for spec in tensor_table(config))


def matmul_params(config: ModelConfig) -> int:
    """Parameters that every token is multiplied with on its way to the last norm."""
    kernels = (spec for spec in tensor_table(config) if spec.path[-1] == "kernel")
    return sum(
        math.prod(spec.shape) for spec in kernels if spec.path[0] not in ("lm_head", "score")
    )


def forward_flops(config: ModelConfig, start: int, count: int) -> float:
    """Operations of feeding `count` tokens behind `start` earlier ones, up to the last norm.

    Two per multiply-add: each kernel entry once per token, and attention's two products over the
    positions a token sees. Norms, rotations and activations are left out.
    """
    dense = 2.0 * matmul_params(config) * count
    seen = sum(_positions_seen(start, count, window) for window in config.windows)
    return dense + 4.0 * seen * config.num_heads * config.head_dim


def generation_flops(config: ModelConfig, prompt: int, new: int) -> float:
    """Operations of reading a prompt and generating `new` tokens, logits of those included."""
    fed = prompt + max(new - 1, 0)
    logits = 2.0 * config.hidden_size * config.vocab_size * new
    return forward_flops(config, 0, fed) + logits


def _positions_seen(start: int, count: int, window: int | None) -> int:
    """Sum over the new tokens of how many positions each attends to."""
    whole = count * start + count * (count + 1) // 2
    if window is None:
        return whole
    # Tokens whose past exceeds the window see exactly `window` positions.
    free = min(max(window - start, 0), count)
    return free * start + free * (free + 1) // 2 + (count - free) * window
