"""Predicted bytes against what XLA says of the compiled programs."""

import functools

import jax
import jax.numpy as jnp
import pytest

from moco_jax.decoding import loop
from moco_jax.decoding.combine import FIRST, WEIGHTED_LOGITS
from moco_jax.decoding.groups import Group, Weights
from moco_jax.decoding.sampling import Filters, Knobs
from moco_jax.decoding.types import Sampling
from moco_jax.models import memory
from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import init_cache, init_params
from moco_jax.models.memory import Hardware, Load, Memory
from moco_jax.models.quantize import quantize

WHOLE = 0.1
"""How far weights, cache and working memory together may be off."""
WORKING = (0.75, 1.75)
"""Predicted over real working memory."""
SMALL = 100_000
"""Bytes that are not worth predicting."""


def config(**changes):
    settings = {
        "family": "qwen2",
        "vocab_size": 4096,
        "hidden_size": 128,
        "intermediate_size": 512,
        "num_layers": 2,
        "num_heads": 8,
        "num_kv_heads": 2,
        "head_dim": 16,
        "qkv_bias": True,
        "tie_embeddings": True,
    }
    return ModelConfig(**{**settings, **changes})


def params_of(config, dtype="float32"):
    """Shapes of the params in a type, "int8" included."""
    key = jax.random.key(0)
    if dtype == "int8":
        return jax.eval_shape(lambda: quantize(init_params(config, key)))
    return jax.eval_shape(lambda: init_params(config, key, jnp.dtype(dtype)))


def cache_of(config, rows, slots, dtype="float32"):
    return jax.eval_shape(functools.partial(init_cache, config, rows, slots, jnp.dtype(dtype)))


def size(tree):
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def decoding(configs, rows, slots, sampling, dtype="float32"):
    """XLA's view of a compiled decode program."""
    combine = FIRST if len(configs) == 1 else WEIGHTED_LOGITS
    theta = () if len(configs) == 1 else jnp.zeros(len(configs))
    program = loop.Program(
        tuple(map(Group, configs)), combine, Filters.of(sampling), configs[0].vocab_size
    )
    lowered = loop.decode.lower(
        program,
        tuple(Weights(params_of(one, dtype)) for one in configs),
        tuple(cache_of(one, rows, slots, Hardware().computes_in(dtype)) for one in configs),
        loop.empty_rows(program, rows, 32, theta),
        Knobs.of(sampling),
        jnp.array([1]),
        jnp.int32(32),
        jnp.int32(rows),
    )
    return lowered.compile().memory_analysis()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("tied", [True, False])
def test_weights_are_counted_to_the_byte(dtype, tied):
    one = config(tie_embeddings=tied, qkv_bias=tied)
    assert memory.weight_bytes(one, dtype) == size(params_of(one, dtype))


def test_cache_is_counted_to_the_byte():
    one = config()
    for dtype in ("float32", "bfloat16"):
        counted = memory.cache_bytes(one, 3, 48, dtype, Hardware())
        assert counted == size(cache_of(one, 3, 48, dtype))


@pytest.mark.parametrize(
    ("members", "rows", "slots", "sampling"),
    [
        (1, 1, 64, Sampling()),
        (1, 8, 64, Sampling()),
        (1, 32, 128, Sampling()),
        (1, 8, 512, Sampling(temperature=0.0)),
        (3, 8, 64, Sampling()),
    ],
)
def test_decoding_takes_what_is_predicted(members, rows, slots, sampling):
    configs = (config(),) * members
    real = decoding(configs, rows, slots, sampling)
    planned = memory.step_bytes(Load(configs, rows, slots))
    assert WORKING[0] <= planned / real.temp_size_in_bytes <= WORKING[1] or (
        abs(planned - real.temp_size_in_bytes) < SMALL
    )
    weights = sum(memory.weight_bytes(one, "float32") for one in configs)
    cache = sum(memory.cache_bytes(one, rows, slots, "float32", Hardware()) for one in configs)
    whole = real.argument_size_in_bytes + real.temp_size_in_bytes
    assert weights + cache + planned == pytest.approx(whole, rel=WHOLE)


@pytest.mark.parametrize(
    ("dtype", "rows"), [("bfloat16", 1), ("bfloat16", 8), ("int8", 1), ("int8", 8)]
)
def test_weights_that_the_cpu_widens_are_counted_twice(dtype, rows):
    one, greedy = config(), Sampling(temperature=0.0)
    real = decoding((one,), rows, 64, greedy, dtype)
    planned = memory.load_memory(Load((one,), rows, 64), dtype, Hardware())
    widened = memory.widened_bytes(one, dtype, Hardware(), rows)
    assert 0.8 * real.temp_size_in_bytes < widened < planned.working
    whole = memory.weight_bytes(one, dtype) + planned.total
    taken = real.argument_size_in_bytes + real.temp_size_in_bytes
    assert whole == pytest.approx(taken, rel=WHOLE)
    assert memory.widened_bytes(one, dtype, Hardware("gpu"), rows) == 0


@pytest.mark.parametrize(("rows", "block"), [(8, 64), (8, 256), (1, 128)])
def test_prefill_takes_what_is_predicted(rows, block):
    one = config()

    def ints(*shape):
        return jax.ShapeDtypeStruct(shape, jnp.int32)

    lowered = loop.prefill.lower(
        Group(one),
        block,
        Weights(params_of(one)),
        cache_of(one, rows, 2 * block),
        ints(rows),
        ints(rows, block),
        ints(rows, block),
        ints(rows),
    )
    real = lowered.compile().memory_analysis()
    load = Load((one,), rows, block, block, rows)
    planned = memory.prefill_bytes(load, "float32", Hardware())
    assert WORKING[0] <= planned / real.temp_size_in_bytes <= WORKING[1]


def test_devices_share():
    one = config()
    whole, shared = Hardware(), Hardware("gpu", tensor=2, rows=4)
    assert memory.weight_bytes(one, "float32", shared) * 2 == memory.weight_bytes(one, "float32")
    cache = [memory.cache_bytes(one, 8, 64, "float32", place) for place in (whole, shared)]
    assert cache[0] == 8 * cache[1]
    # Three devices cannot share two heads
    odd = memory.cache_bytes(one, 8, 64, "float32", Hardware("gpu", tensor=3))
    assert odd == cache[0]


def test_sums_and_words():
    assert Memory(1, 2, 3).total == 6
    assert memory.readable(999) == "999 B"
    assert memory.readable(1_530_000_000) == "1.53 GB"
    assert memory.readable(2e15) == "2e+03 TB"
