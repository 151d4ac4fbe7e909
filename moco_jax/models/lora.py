"""LoRA adapters (Hu et al., arXiv 2106.09685): factors over a base, a pytree of their own.

`lora_files` reads them.
"""

import dataclasses
import json
import os
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from moco_jax.models import safetensors_io
from moco_jax.models.checkpoint_files import PathLike
from moco_jax.models.decoder import Bank, Params
from moco_jax.models.lora_config import EMBEDDING, LoraConfig, factor_name, module_name, to_peft
from moco_jax.models.quantize import refuse_quantized

CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"
# Where q, k, v (and gate, up) are one tensor, a target among them means that tensor
_FUSED = dict.fromkeys(("q_proj", "k_proj", "v_proj"), "qkv_proj")
_FUSED |= dict.fromkeys(("gate_proj", "up_proj"), "gate_up_proj")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Adapter:
    """LoRA factors over a base. As a pytree its leaves are the factors alone.

    Attributes:
        factors: by module ("layers_0/self_attn/q_proj"): {"a": [in, r], "b": [r, out]}.
        config: ranks and scales; static.
    """

    factors: dict[str, dict[str, jax.Array]]
    config: LoraConfig = dataclasses.field(metadata={"static": True})


def init_adapter(
    params: Params, config: LoraConfig, key: jax.Array, dtype: Any = jnp.float32
) -> Adapter:
    """A fresh adapter that changes nothing yet: A is uniform in +-1/sqrt(in), B is zero.

    Args:
        params: of the base; only the shapes matter.
        config: what to adapt, and how. Where the base fuses projections, a target among them
            adapts the fused one.
        key: the key is consumed.
        dtype: of the factors.

    Raises:
        ValueError: a target names no linear layer of the base.
    """
    kernels = _kernels(params)
    targets = tuple(dict.fromkeys(_resolve(target, kernels) for target in config.targets))
    config = dataclasses.replace(config, targets=targets)
    chosen = [module for module in kernels if any(_ends(module, target) for target in targets)]
    factors = {}
    for module, leaf_key in zip(chosen, jax.random.split(key, len(chosen)), strict=True):
        (out, wide), rank = kernels[module].shape, config.rank_of(module)
        bound = wide**-0.5
        a = jax.random.uniform(leaf_key, (wide, rank), jnp.float32, -bound, bound)
        factors[module] = {"a": a.astype(dtype), "b": jnp.zeros((rank, out), dtype)}
    return Adapter(factors, config)


def merge_adapter(params: Params, adapter: Adapter) -> Params:
    """The base with the adapter added in: W + scale (A B)^T, summed in f32, in the dtype of W.

    Pure and differentiable in both; leaves that the adapter does not change are shared.

    Raises:
        ValueError: a layer is missing from the base or has another shape.
    """
    check_fit(params, adapter)
    flat = traverse_util.flatten_dict(params, sep="/")
    for module, factor in adapter.factors.items():
        _add(flat, module, factor["a"], factor["b"], adapter.config.scale(module))
    return traverse_util.unflatten_dict(flat, sep="/")


def check_fit(params: Params, adapter: Adapter, name: str = "the adapter") -> None:
    """Raises ValueError if a layer is missing from the base or has another shape."""
    flat = traverse_util.flatten_dict(params, sep="/")
    shapes = {path: leaf.shape for path, leaf in flat.items()}
    quantized = {path: f"{path}_int8" for path in (f"{m}/kernel" for m in adapter.factors)}
    shapes |= {path: shapes[small] for path, small in quantized.items() if small in shapes}
    check_shapes(
        shapes,
        {m: (f["a"].shape[0], f["b"].shape[1]) for m, f in adapter.factors.items()},
        name,
    )


def check_shapes(
    base: Mapping[str, tuple[int, ...]], adapted: Mapping[str, tuple[int, int]], name: str
) -> None:
    """Raises ValueError if a module is missing from the base or has another shape.

    Args:
        base: shapes of its tensors by path ("layers_0/self_attn/q_proj/kernel").
        adapted: (in, out) of the modules of an adapter.
        name: of the adapter.
    """
    for module, (wide, out) in adapted.items():
        shape = (wide, out) if module == EMBEDDING else (out, wide)
        found = base.get(_path(module))
        if found != shape:
            raise ValueError(
                f"{name} does not fit this base: {module_name(module)} is "
                f"{list(found) if found else 'nothing'} in the base and {list(shape)} in the "
                "adapter. Load it over the base it was trained on."
            )


def _path(module: str) -> str:
    """Where the weight of a module stands in the params."""
    return f"{module}/embedding" if module == EMBEDDING else f"{module}/kernel"


def _add(flat: dict[str, Any], module: str, a: jax.Array, b: jax.Array, scale: float) -> None:
    """Adds a product of factors to the weight of its module in flat params."""
    # An embedding stands as [in, out] and not as [out, in]
    a, b = (b.T, a.T) if module == EMBEDDING else (a, b)
    flat[_path(module)] = _merged(flat[_path(module)], a, b, scale)


def stack_adapters(adapters: Sequence[Adapter]) -> Bank:
    """A bank of N adapters for `decoder.forward`: "a" [N, in, r] and "b" [N, r, out] per module.

    Scales are folded into "b". An adapter of a smaller rank, or without a module that another has,
    is filled up with zeros, which change nothing.

    Raises:
        ValueError: there are none, or they adapt a module of one name and different shapes.
    """
    if not adapters:
        raise ValueError("there are no adapters to stack; pass at least one")
    modules = dict.fromkeys(module for adapter in adapters for module in adapter.factors)
    flat = {}
    for module in modules:
        found = [adapter.factors[module] for adapter in adapters if module in adapter.factors]
        shapes = {(factor["a"].shape[0], factor["b"].shape[1]) for factor in found}
        if len(shapes) > 1:
            raise ValueError(
                f"the adapters do not share a base: {module_name(module)} is "
                f"{' and '.join(str(list(shape)) for shape in sorted(shapes))} in them"
            )
        rank = max(factor["a"].shape[1] for factor in found)
        parts = [_filled_up(adapter, module, shapes.copy().pop(), rank) for adapter in adapters]
        for side in ("a", "b"):
            flat[f"{module}/{side}"] = jnp.stack([part[side] for part in parts])
    return traverse_util.unflatten_dict(flat, sep="/")


def _filled_up(
    adapter: Adapter, module: str, shape: tuple[int, int], rank: int
) -> dict[str, jax.Array]:
    """Factors of one module with the rank filled up and the scale folded into "b"."""
    if module not in adapter.factors:
        return {"a": jnp.zeros((shape[0], rank)), "b": jnp.zeros((rank, shape[1]))}
    factor = adapter.factors[module]
    missing = rank - factor["a"].shape[1]
    b = factor["b"].astype(jnp.float32) * adapter.config.scale(module)
    return {
        "a": jnp.pad(factor["a"], ((0, 0), (0, missing))),
        "b": jnp.pad(b.astype(factor["b"].dtype), ((0, missing), (0, 0))),
    }


def merge_bank(params: Params, bank: Bank) -> Params:
    """The base with the only adapter of a bank of one added in; see `merge_adapter`.

    Raises:
        ValueError: the base is int8.
    """
    refuse_quantized(params, "adding an adapter to its base")
    flat = traverse_util.flatten_dict(params, sep="/")
    factors = traverse_util.flatten_dict(bank, sep="/")
    for path, a in factors.items():
        module, _, side = path.rpartition("/")
        if side == "a":
            _add(flat, module, a[0], factors[f"{module}/b"][0], 1.0)
    return traverse_util.unflatten_dict(flat, sep="/")


@jax.jit
def _merged(kernel: jax.Array, a: jax.Array, b: jax.Array, scale: float) -> jax.Array:
    wide = (leaf.astype(jnp.float32) for leaf in (a, b))
    # Accelerators would round the f32 factors by default
    delta = jnp.matmul(*wide, precision=jax.lax.Precision.HIGHEST).T
    return (kernel.astype(jnp.float32) + scale * delta).astype(kernel.dtype)


def save_adapter(directory: PathLike, adapter: Adapter, base: str, dtype: Any = None) -> None:
    """Writes a directory that PEFT, vLLM and `load_adapter` read.

    Args:
        directory: made if need be; an adapter that was there is replaced.
        adapter: what to write.
        base: path (also relative to `directory`) or hub id of its base.
        dtype: cast to it; None leaves the factors as they are.
    """
    directory = pathlib.Path(directory)
    planned = [
        _plan(factor_name(module, side), leaf, dtype)
        for module, factor in sorted(adapter.factors.items())
        for side, leaf in sorted(factor.items())
    ]
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as draft:
        folder = pathlib.Path(draft)
        safetensors_io.write_tensors(folder, planned, sum(tensor.size for tensor in planned))
        text = json.dumps(to_peft(adapter.config, base), indent=2, sort_keys=True)
        (folder / CONFIG_FILE).write_text(text + "\n")
        os.replace(folder / "model.safetensors", directory / WEIGHTS_FILE)
        # The config comes last: it is what makes the directory an adapter
        os.replace(folder / CONFIG_FILE, directory / CONFIG_FILE)


def _plan(name: str, leaf: jax.Array, dtype: Any) -> safetensors_io.Planned:
    def on_disk() -> np.ndarray:
        return np.asarray(leaf).T

    return safetensors_io.Planned(name, leaf.shape[::-1], np.dtype(dtype or leaf.dtype), on_disk)


def _kernels(params: Params) -> dict[str, Any]:
    """The linear layers of a model by module, sorted."""
    flat = sorted(traverse_util.flatten_dict(params, sep="/").items())
    return {path.removesuffix("/kernel"): leaf for path, leaf in flat if path.endswith("/kernel")}


def _resolve(target: str, modules: Mapping[str, Any]) -> str:
    """The target as this base calls it."""
    head, dot, last = target.rpartition(".")
    for name in (target, head + dot + _FUSED.get(last, last)):
        if any(_ends(module, name) for module in modules):
            return name
    offers = sorted({module.rpartition("/")[2] for module in modules})
    raise ValueError(
        f"the base has no linear layer called {target!r}; LoRA targets here: {', '.join(offers)}."
    )


def _ends(module: str, target: str) -> bool:
    return f".{module_name(module)}".endswith(f".{target}")
