"""Where the parts of a model lie on a mesh of devices, by rules on the parameters' paths.

The mesh has three axes: `model` (members of one architecture, each with weights of its own), `data`
(rows of text) and `tensor` (the inside of one member, arXiv 1909.08053). Rows of text are dealt out
over `model` and `data` together, so that no device idles where there is one member only. What an
axis does not divide is kept whole, which is slower and never wrong.
"""

import re
from collections.abc import Mapping
from typing import Any

import jax
from jax.sharding import PartitionSpec

from moco_jax.models.config import ModelConfig

PyTree = Any
Axes = tuple[str | tuple[str, ...] | None, ...]
"""For each dimension the axis or axes it is dealt out over; dimensions left out are whole."""

MODEL, DATA, TENSOR = AXES = ("model", "data", "tensor")
ROWS = (MODEL, DATA)
CACHE: Axes = (ROWS, TENSOR, None, None)
"""Keys [B, K, H, C] and values [B, K, C, H]."""

# What a layer produces is cut: every device has some heads, inner dimensions or words
_COLUMNS = "(q_proj|k_proj|v_proj|gate_proj|up_proj|lm_head)"
# What a layer reads is cut, and the devices' shares of its output are added up. The fused layers
# are here because cutting [q | k | v] would part queries from their own keys.
_INPUTS = "(o_proj|down_proj|qkv_proj|gate_up_proj)"

RULES: tuple[tuple[str, Axes], ...] = (
    ("embed_tokens/embedding", (TENSOR, None)),
    (_COLUMNS + "/(kernel|kernel_int8)", (TENSOR, None)),
    (_COLUMNS + "/(bias|kernel_scale)", (TENSOR,)),
    (_COLUMNS + "/b", (None, None, TENSOR)),
    (_INPUTS + "/(kernel|kernel_int8)", (None, TENSOR)),
    (_INPUTS + "/a", (None, TENSOR, None)),
)
"""(regex on the end of a path, axes); the first match counts, a parameter without one is whole.

"a" [N, in, r] and "b" [N, r, out] are the factors of a bank of adapters.
"""


def param_specs(
    config: ModelConfig, params: PyTree, sizes: Mapping[str, int], stacked: bool = False
) -> PyTree:
    """How each parameter is cut: a tree like `params`, of PartitionSpecs.

    Args:
        config: the architecture; heads are never cut through.
        params: arrays or shapes, packed kernels and banks of adapters included.
        sizes: devices along each axis of the mesh.
        stacked: every leaf has a leading axis of members, dealt out over `model`.
    """
    lead: Axes = (MODEL,) if stacked else ()

    def spec(path: tuple[Any, ...], leaf: Any) -> PartitionSpec:
        name = "/".join(str(key.key) for key in path)
        return fitted(lead + _axes_of(config, name, sizes), leaf.shape, sizes)

    return jax.tree_util.tree_map_with_path(spec, params)


def undivided(config: ModelConfig, parts: int) -> list[str]:
    """What cannot be dealt out to `parts` devices, in words; empty where all goes well."""
    counts = {
        "query heads": config.num_heads,
        "key-value heads": config.num_kv_heads,
        "inner dimensions": config.intermediate_size,
        "words of the vocabulary": config.vocab_size,
    }
    return [f"{count} {name}" for name, count in counts.items() if count % parts]


def fitted(axes: Axes, shape: tuple[int, ...], sizes: Mapping[str, int]) -> PartitionSpec:
    """The PartitionSpec of an array, without the axes that do not divide its dimensions."""
    parts: list[tuple[str, ...] | None] = []
    for axis, length in zip(axes, shape, strict=False):
        names = (axis,) if isinstance(axis, str) else axis or ()
        names = tuple(name for name in names if sizes.get(name, 1) > 1)
        count = 1
        for name in names:
            count *= sizes[name]
        parts.append(names if names and length % count == 0 else None)
    return PartitionSpec(*parts)


def _axes_of(config: ModelConfig, name: str, sizes: Mapping[str, int]) -> Axes:
    """What the rules say of the parameter at a path."""
    parts = sizes.get(TENSOR, 1)
    whole = []
    if config.num_heads % parts:
        whole += ["q_proj", "o_proj"]
    if config.num_heads % parts or config.num_kv_heads % parts:
        whole += ["k_proj", "v_proj"]
    if any(f"{layer}/" in name for layer in whole):
        return ()
    return next((axes for rule, axes in RULES if re.search(f"(^|/){rule}$", name)), ())
