"""How much memory a model takes, counted from its config alone.

What is counted is what a device really holds. XLA on CPU casts weights of other types to float32
once, in front of the decode loop, so that they save no memory there; of bfloat16 ones, where more
than one row is decoded, only those of the output layer.
"""

import dataclasses
import math
from collections.abc import Sequence

import jax.numpy as jnp

from moco_jax.models.config import ModelConfig
from moco_jax.models.families import is_linear, tensor_table

INT8 = "int8"
CPU = "cpu"

SCORE_COPIES = 3
"""Arrays of attention scores that reading a block of a prompt holds at once, on XLA:CPU."""
SPREAD = 3
"""Arrays of a block's hidden states, and of its inner states, held at once, likewise."""


@dataclasses.dataclass(frozen=True)
class Hardware:
    """What a plan needs to know of the devices.

    Attributes:
        platform: `jax.default_backend()`.
        tensor: devices that share the inside of each member.
        rows: devices that share the rows of text.
        members: shares of devices that members who write together are dealt out to.
    """

    platform: str = CPU
    tensor: int = 1
    rows: int = 1
    members: int = 1

    def computes_in(self, weights: str) -> str:
        """The type of activations and caches over weights of a type."""
        if weights != INT8:
            return weights
        return "float32" if self.platform == CPU else "bfloat16"

    def multiplied_in(self, weights: str) -> str:
        """The type that weights are read in at every step, whatever type they are stored in."""
        return "float32" if self.platform == CPU else weights


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes on one device.

    Attributes:
        weights: as they are stored.
        cache: keys and values.
        working: what a program holds while it runs.
    """

    weights: int = 0
    cache: int = 0
    working: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.cache + self.working


@dataclasses.dataclass(frozen=True)
class Load:
    """The largest shapes of one decode program and its prefill.

    Attributes:
        configs: of the groups that write together.
        rows: rows decoded together.
        slots: of the cache, per row.
        block: most prompt tokens per row in one prefill call.
        block_rows: rows of a prefill call.
        sets: parameter sets in a stack of full weights.
    """

    configs: tuple[ModelConfig, ...]
    rows: int
    slots: int
    block: int = 1
    block_rows: int = 1
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
            total += size + 4 * spec.shape[0]
        else:
            total += size * other
    return total // hardware.tensor


def stacked_bytes(configs: Sequence[ModelConfig], dtype: str, hardware: Hardware) -> int:
    """Bytes of the second copy, on each device, of members that compute on devices of their own."""
    apart = hardware.members
    if apart == 1 or len(configs) == 1 or len(configs) % apart or len(set(configs)) > 1:
        return 0
    return len(configs) // apart * weight_bytes(configs[0], dtype, hardware)


def widened_bytes(config: ModelConfig, dtype: str, hardware: Hardware, rows: int) -> int:
    """Bytes of the float32 copy of the weights that a program of so many rows holds on a device."""
    if hardware.platform != CPU or dtype == "float32":
        return 0
    if dtype == "bfloat16" and rows > 1:
        return 4 * config.vocab_size * config.hidden_size // hardware.tensor
    return 4 * _elements(config, linear=dtype == INT8) // hardware.tensor


def _elements(config: ModelConfig, linear: bool) -> int:
    """Numbers in the kernels of linear layers, or in all matrices."""
    chosen = [s for s in tensor_table(config) if len(s.shape) == 2 and (is_linear(s) or not linear)]
    return sum(math.prod(spec.shape) for spec in chosen)


def cache_bytes(config: ModelConfig, rows: int, slots: int, dtype: str, hardware: Hardware) -> int:
    """Bytes of the keys and values of `rows` rows on each device."""
    per_slot = 2 * config.num_layers * config.num_kv_heads * config.head_dim
    heads = hardware.tensor if config.num_kv_heads % hardware.tensor == 0 else 1
    held = rows // hardware.rows if rows % hardware.rows == 0 else rows
    return held * slots * per_slot * itemsize(hardware.computes_in(dtype)) // heads


def step_bytes(load: Load) -> int:
    """Bytes that one decode step works with, every member's logits first of all.

    One member's are there twice: a CPU makes them transposed.
    """
    vocab = max(config.vocab_size for config in load.configs)
    inner = max(
        SPREAD * (config.hidden_size + config.intermediate_size) + config.num_heads * load.slots
        for config in load.configs
    )
    return 4 * load.rows * ((len(load.configs) + 1) * vocab + inner)


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
    caches = [cache_bytes(one, load.rows, load.slots, dtype, hardware) for one in load.configs]
    each = load.rows // load.sets
    widened = sum(widened_bytes(one, dtype, hardware, each) for one in load.configs)
    step = step_bytes(load) // hardware.rows + widened * load.sets
    working = max(step, prefill_bytes(load, dtype, hardware) + widened * load.sets)
    return Memory(cache=sum(caches), working=working)


def readable(count: float) -> str:
    """A number of bytes for people, such as "1.5 GB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
