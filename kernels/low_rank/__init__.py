"""The low-rank path of a bank of LoRA adapters (arXiv 2106.09685): each row has its factors."""

from moco_jax.kernels.low_rank.api import low_rank

__all__ = ["low_rank"]
