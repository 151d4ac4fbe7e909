"""Weight-only int8: kernels of linear layers in one byte, one scale per output channel.

Symmetric rounding to the nearest of 255 steps, as in LLM.int8() (arXiv 2208.07339) without its
outliers; activations stay in their own type. Embedding, output layer, norms and biases are kept.
"""

from typing import Any

import jax
import jax.numpy as jnp

from moco_jax.models.checkpoint import open_checkpoint
from moco_jax.models.checkpoint_files import PathLike
from moco_jax.models.decoder import set_leaf
from moco_jax.models.families import is_linear, tensor_table

Params = dict[str, Any]

LEVELS = 127
KERNEL, SCALE = "kernel_int8", "kernel_scale"
_KEPT = ("lm_head", "score")


def load_quantized(path_or_hub_id: PathLike, dtype: Any) -> Params:
    """A checkpoint's params in int8, read and rounded one tensor at a time.

    Args:
        path_or_hub_id: as of `load_checkpoint`.
        dtype: of all that is not rounded.
    """
    reader = open_checkpoint(path_or_hub_id)
    params: Params = {}
    for spec in tensor_table(reader.config):
        leaf = jax.device_put(reader.read(spec.path, dtype))
        if is_linear(spec):
            small, scale = quantize_kernel(leaf)
            set_leaf(params, (*spec.path[:-1], KERNEL), small.block_until_ready())
            set_leaf(params, (*spec.path[:-1], SCALE), scale)
        else:
            set_leaf(params, spec.path, leaf.block_until_ready())
    return params


def quantize(params: Params) -> Params:
    """Params whose linear layers hold "kernel_int8" and "kernel_scale"; other leaves are shared.

    Args:
        params: a decoder's, adapters merged in already.

    Returns:
        A tree that `decoder.forward` takes: kernels i8[out, in] with f32[out] scales.
    """
    return {
        name: part if name in _KEPT or not isinstance(part, dict) else _module(part)
        for name, part in params.items()
    }


def _module(part: Params) -> Params:
    done = {
        name: _module(inner) if isinstance(inner, dict) else inner
        for name, inner in part.items()
        if name != "kernel"
    }
    if "kernel" in part:
        done[KERNEL], done[SCALE] = quantize_kernel(part["kernel"])
    return done


@jax.jit
def quantize_kernel(kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A kernel [out, in] as i8[out, in] and f32[out]; their product is off by half a step at most.

    A channel of zeros has scale 1.
    """
    wide = kernel.astype(jnp.float32)
    largest = jnp.abs(wide).max(1)
    scale = jnp.where(largest > 0, largest / LEVELS, 1.0)
    return jnp.round(wide / scale[:, None]).astype(jnp.int8), scale


def is_quantized(params: Params) -> bool:
    """Whether any layer holds an int8 kernel."""
    return any(
        name == KERNEL or (isinstance(part, dict) and is_quantized(part))
        for name, part in params.items()
    )


def refuse_quantized(params: Params, what: str) -> None:
    """Raises a ValueError where weights are int8 and `what` ("merging a, b") needs full ones."""
    if is_quantized(params):
        raise ValueError(
            f"{what} needs weights in floating point, and these are int8: they were rounded to 255 "
            "steps per channel. Run with --dtype=float32, bfloat16 or float16."
        )
