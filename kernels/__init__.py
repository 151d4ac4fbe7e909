"""Kernels: the few computations that deserve code of their own on an accelerator.

One folder each: a plain jnp reference, a Pallas kernel, and a public function that picks between
them by platform. On CPU the reference is the implementation.
"""

from moco_jax.kernels.fused_sample import fused_sample
from moco_jax.kernels.low_rank import low_rank
from moco_jax.kernels.ties_merge import ties_merge

__all__ = ["fused_sample", "low_rank", "ties_merge"]
