"""M members' logits combined, filtered and drawn from: one token a row."""

from moco_jax.kernels.fused_sample.api import fused_sample
from moco_jax.kernels.fused_sample.blocks import argmax
from moco_jax.kernels.fused_sample.bounds import largest_threshold, least_kept
from moco_jax.kernels.fused_sample.reference import mix, sample, token_logprob, uniforms
from moco_jax.kernels.fused_sample.settings import Filters, Knobs

__all__ = [
    "Filters",
    "Knobs",
    "argmax",
    "fused_sample",
    "largest_threshold",
    "least_kept",
    "mix",
    "sample",
    "token_logprob",
    "uniforms",
]
