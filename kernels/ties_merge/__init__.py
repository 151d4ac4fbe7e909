"""Trim, elect sign, disjoint mean over task vectors (TIES, arXiv 2306.01708)."""

from moco_jax.kernels.ties_merge.api import ties_merge

__all__ = ["ties_merge"]
