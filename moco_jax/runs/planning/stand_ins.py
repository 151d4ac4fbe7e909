"""Members whose weights stay on disk, for planning.

Each has the real config and tokenizer, and tensors of the real names that are cut to two numbers
an axis: what methods do to weights runs as it is, in no time and no memory.
"""

import zlib
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from moco_jax.decoding.keys import digest
from moco_jax.decoding.placement import Placement
from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import Params, set_leaf
from moco_jax.models.families import tensor_table
from moco_jax.models.memory import INT8
from moco_jax.models.quantize import quantize
from moco_jax.pool import Member, MemberInfo, Pool, default_dtype

LONGEST = 2
"""Numbers along each axis of a stand-in's tensors; axes that are equal stay equal."""


def planned_identity(info: MemberInfo) -> str:
    """The identity of a stand-in."""
    return digest("planned", *info.place)


class StandIn(Member):
    """A member that is never run."""

    @classmethod
    def load(
        cls, info: MemberInfo, dtype: Any = None, placement: Placement | None = None
    ) -> "StandIn":
        """Makes up the weights; reads no file and places nothing."""
        del placement
        source = planned_identity(info)
        return cls(
            info, stand_in_params(info.config, source, str(dtype or default_dtype())), source
        )


def stand_in_params(config: ModelConfig, source: str, dtype: str) -> Params:
    """Params as `load_checkpoint` gives them, every axis cut to `LONGEST`."""
    params: Params = {}
    for spec in tensor_table(config):
        # Numbers that differ: some merges divide by distances
        rng = np.random.default_rng(zlib.crc32(f"{source} {spec.name}".encode()))
        values = rng.normal(size=[min(length, LONGEST) for length in spec.shape])
        kept = default_dtype() if dtype == INT8 else jnp.dtype(dtype)
        set_leaf(params, spec.path, jnp.asarray(values, kept))
    return quantize(params) if dtype == INT8 else params


def stand_in_pool(infos: Sequence[MemberInfo], dtype: str) -> Pool:
    """A pool of stand-ins; a checkpoint that stands twice has one identity, as when loaded."""
    return Pool([StandIn.load(info, dtype) for info in infos])
