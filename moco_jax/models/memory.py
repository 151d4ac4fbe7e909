"""How much memory a model takes, counted from its config alone.

What is counted is what a device really holds. XLA on CPU multiplies in float32 only, and casts
weights of another type once, in front of the decode loop: they save no memory there.
"""

import dataclasses
import math
from collections.abc import Sequence

import jax.numpy as jnp

from moco_jax.models.config import ModelConfig
from moco_jax.models.families import TensorSpec, tensor_table
from moco_jax.models.packing import WIDE

INT8 = "int8"
CPU = "cpu"

SAMPLED_COPIES = 2
"""Arrays of one step's logits that drawing a token holds at once (measured on XLA:CPU)."""
SCORE_COPIES = 3
"""Arrays of attention scores that reading a block of a prompt holds at once, likewise."""
SPREAD = 3
"""Arrays of a block's hidden states, and of its inner states, held at once, likewise."""


@dataclasses.dataclass(frozen=True)
class Hardware:
    """What a plan needs to know of the devices.

    Attributes:
        platform: `jax.default_backend()`.
        tensor: devices that share the inside of each member.
        rows: devices that share the rows of text.
    """

    platform: str = CPU
    tensor: int = 1
    rows: int = 1

    def computes_in(self, weights: str) -> str:
        """The type of activations and caches over weights of a type."""
        if weights != INT8:
            return weights
        return "float32" if self.platform == CPU else "bfloat16"


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes on one device.

    Attributes:
        weights: as they are stored.
        copies: of weights, in the layout or the type that the platform computes with.
        cache: keys and values.
        working: what a program holds while it runs.
    """

    weights: int = 0
    copies: int = 0
    cache: int = 0
    working: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.copies + self.cache + self.working

    def __add__(self, other: "Memory") -> "Memory":
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Memory(*(ours + theirs for ours, theirs in pairs))


@dataclasses.dataclass(frozen=True)
class Load:
    """The largest shapes of one decode program and its prefill.

    Attributes:
        configs: of the groups that write together.
        rows: rows decoded together.
        slots: of the cache, per row.
        block: most prompt tokens per row in one prefill call.
        block_rows: rows of a prefill call.
        sampled: tokens are drawn, not just the most likely taken.
        sets: parameter sets in a stack of full weights.
    """

    configs: tuple[ModelConfig, ...]
    rows: int
    slots: int
    block: int = 1
    block_rows: int = 1
    sampled: bool = False
    sets: int = 1


def itemsize(name: str) -> int:
    """Bytes of one number of a type."""
    return jnp.dtype(name).itemsize


def weight_bytes(config: ModelConfig, dtype: str, hardware: Hardware | None = None) -> int:
    """Bytes of a model's parameters on each device.

    Args:
        config: the model.
        dtype: name of the type; "int8" is what `quantize` makes: embedding, output layer, norms
            and biases keep the type of the activations.
        hardware: its devices; one CPU by default.
    """
    hardware = hardware or Hardware()
    other = itemsize(hardware.computes_in(dtype))
    total = 0
    for spec in tensor_table(config):
        size = math.prod(spec.shape)
        if dtype == INT8 and is_linear(spec):
            total += size + 4 * spec.shape[-1]
        else:
            total += size * other
    return total // hardware.tensor


def is_linear(spec: TensorSpec) -> bool:
    """Whether a tensor is the kernel of a linear layer; the heads are none."""
    return spec.path[-1] == "kernel" and spec.path[0] not in ("lm_head", "score")


def copy_bytes(config: ModelConfig, dtype: str, rows: int, hardware: Hardware) -> int:
    """Bytes of further copies of the weights that decoding so many rows makes on each device."""
    if hardware.platform != CPU:
        return 0
    table = tensor_table(config)
    linear = sum(math.prod(spec.shape) for spec in table if is_linear(spec))
    matrices = sum(math.prod(spec.shape) for spec in table if len(spec.shape) == 2)
    # int8 kernels are not transposed
    turned = linear * itemsize(dtype) if rows >= WIDE and dtype != INT8 else 0
    widened = {"float32": 0, INT8: 4 * linear}.get(dtype, 4 * matrices)
    return (turned + widened) // hardware.tensor


def cache_bytes(config: ModelConfig, rows: int, slots: int, dtype: str, hardware: Hardware) -> int:
    """Bytes of the keys and values of `rows` rows on each device."""
    per_slot = 2 * config.num_layers * config.num_kv_heads * config.head_dim
    heads = hardware.tensor if config.num_kv_heads % hardware.tensor == 0 else 1
    held = rows // hardware.rows if rows % hardware.rows == 0 else rows
    return held * slots * per_slot * itemsize(hardware.computes_in(dtype)) // heads


def step_bytes(load: Load) -> int:
    """Bytes that one decode step works with: every member's logits, and the draw."""
    vocab = max(config.vocab_size for config in load.configs)
    groups = len(load.configs)
    copies = (1 if groups == 1 else 2 * groups) + (SAMPLED_COPIES if load.sampled else 0)
    inner = max(
        SPREAD * (config.hidden_size + config.intermediate_size) + config.num_heads * load.slots
        for config in load.configs
    )
    return 4 * load.rows * (copies * vocab + inner)


def prefill_bytes(load: Load, dtype: str, hardware: Hardware) -> int:
    """Bytes that reading one block of a prompt works with."""
    most = 0
    one = dataclasses.replace(hardware, rows=1)
    for config in load.configs:
        cells = load.block_rows * load.block
        scores = SCORE_COPIES * cells * config.num_heads * load.slots
        inner = SPREAD * cells * config.intermediate_size
        hidden = SPREAD * cells * config.hidden_size
        # The block's rows are taken out of the cache, written, and put back
        view = 2 * cache_bytes(config, load.block_rows, load.slots, dtype, one)
        most = max(most, view + 4 * (max(scores, inner) // hardware.tensor + hidden))
    return most


def load_memory(load: Load, dtype: str, hardware: Hardware) -> Memory:
    """What a decode program and its prefill take on each device, besides the weights."""
    cache = sum(
        cache_bytes(config, load.rows, load.slots, dtype, hardware) for config in load.configs
    )
    copies = sum(copy_bytes(config, dtype, load.rows, hardware) for config in load.configs)
    working = max(step_bytes(load) // hardware.rows, prefill_bytes(load, dtype, hardware))
    return Memory(copies=copies * load.sets, cache=cache, working=working)


def pool_bytes(configs: Sequence[ModelConfig], dtype: str, hardware: Hardware) -> int:
    """Bytes of the weights of several members on each device."""
    return sum(weight_bytes(config, dtype, hardware) for config in configs)


def readable(count: float) -> str:
    """A number of bytes for people, such as "1.5 GB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
