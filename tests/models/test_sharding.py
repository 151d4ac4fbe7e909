"""The rules by which a model is cut: what is cut where, and what is kept whole."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import init_params
from moco_jax.models.families import FAMILIES
from moco_jax.models.partition import constrain, per_head, per_member
from moco_jax.models.sharding import CACHE, fitted, param_specs, undivided

SIZES = {"model": 2, "data": 2, "tensor": 4}
# How a kernel [out, in] is cut: by what it produces, or by what it reads
PRODUCED, READ = P(("tensor",), None), P(None, ("tensor",))


def config_of(family: str = "llama", **changes) -> ModelConfig:
    base = ModelConfig(
        family=family,
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_layers=1,
        num_heads=8,
        num_kv_heads=4,
        qkv_bias=FAMILIES[family].qkv_bias,
    )
    return dataclasses.replace(base, **changes)


def specs_of(config: ModelConfig, stacked: bool = False):
    shapes = jax.eval_shape(lambda key: init_params(config, key), jax.random.key(0))
    if stacked:
        shapes = jax.tree.map(lambda s: jax.ShapeDtypeStruct((4, *s.shape), s.dtype), shapes)
    return shapes, param_specs(config, shapes, SIZES, stacked)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_matrix_of_every_family_is_cut(family):
    shapes, specs = specs_of(config_of(family))
    for (path, shape), spec in zip(
        jax.tree_util.tree_leaves_with_path(shapes), jax.tree.leaves(specs), strict=True
    ):
        cut = "tensor" in str(spec)
        assert cut or len(shape.shape) == 1, path
        assert all(
            axis is None or length % 4 == 0 for axis, length in zip(spec, shape.shape, strict=False)
        )


def test_what_layers_produce_or_read_is_cut():
    _, specs = specs_of(config_of("qwen2", tie_embeddings=False))
    attention, mlp = specs["layers_0"]["self_attn"], specs["layers_0"]["mlp"]
    for layer in (attention["q_proj"], attention["k_proj"], attention["v_proj"]):
        assert layer == {"kernel": PRODUCED, "bias": P(("tensor",))}
    assert mlp["gate_proj"]["kernel"] == mlp["up_proj"]["kernel"] == PRODUCED
    assert mlp["down_proj"]["kernel"] == attention["o_proj"]["kernel"] == READ
    assert specs["embed_tokens"]["embedding"] == PRODUCED
    assert specs["lm_head"]["kernel"] == PRODUCED
    assert specs["norm"]["scale"] == P()


def test_fused_layers_are_cut_where_they_read():
    _, specs = specs_of(config_of("phi3"))
    assert specs["layers_0"]["self_attn"]["qkv_proj"]["kernel"] == READ
    assert specs["layers_0"]["mlp"]["gate_up_proj"]["kernel"] == READ


def test_heads_are_never_cut_through():
    config = config_of(num_kv_heads=2)
    _, specs = specs_of(config)
    attention = specs["layers_0"]["self_attn"]
    assert attention["k_proj"]["kernel"] == attention["v_proj"]["kernel"] == P()
    assert attention["q_proj"]["kernel"] == PRODUCED
    assert undivided(config, 4) == ["2 key-value heads"]
    _, specs = specs_of(config_of(num_heads=6, num_kv_heads=6, head_dim=8))
    assert all(layer["kernel"] == P() for layer in specs["layers_0"]["self_attn"].values())
    assert undivided(config_of(), 4) == undivided(config, 1) == []


def test_quantized_kernels_and_banks_are_cut_like_the_kernels_they_stand_for():
    def shape(*lengths):
        return jax.ShapeDtypeStruct(lengths, jnp.float32)

    tree = {
        "q_proj": {"kernel": shape(32, 8), "a": shape(3, 8, 2), "b": shape(3, 2, 32)},
        "o_proj": {"kernel_int8": shape(8, 32), "kernel_scale": shape(8), "a": shape(3, 32, 2)},
        "up_proj": {"kernel_int8": shape(32, 8), "kernel_scale": shape(32)},
        "down_proj": {"kernel": shape(8, 32), "b": shape(3, 2, 8)},
    }
    specs = param_specs(config_of(), tree, SIZES)
    last = P(None, None, ("tensor",))
    assert specs["q_proj"] == {"kernel": PRODUCED, "a": P(), "b": last}
    assert specs["o_proj"] == {
        "kernel_int8": READ,
        "kernel_scale": P(),
        "a": P(None, ("tensor",), None),
    }
    assert specs["up_proj"] == {"kernel_int8": PRODUCED, "kernel_scale": P(("tensor",))}
    assert specs["down_proj"] == {"kernel": READ, "b": P()}


def test_a_stack_of_members_lies_along_model():
    _, specs = specs_of(config_of(), stacked=True)
    assert specs["norm"]["scale"] == P(("model",))
    assert specs["layers_0"]["mlp"]["up_proj"]["kernel"] == P(("model",), ("tensor",), None)


def test_what_an_axis_does_not_divide_is_whole():
    both = ("model", "data")
    assert fitted(CACHE, (8, 4, 5, 2), SIZES) == P(both, ("tensor",), None, None)
    assert fitted(CACHE, (6, 2, 5, 2), SIZES) == P(None, None, None, None)
    assert fitted(CACHE, (6, 2, 5, 2), {"data": 2}) == P(("data",), None, None, None)


def test_without_a_mesh_nothing_is_asked_of_the_compiler():
    tree = {"a": np.ones(3)}
    assert constrain(tree) is tree
    x = jnp.arange(24.0).reshape(2, 3, 2, 2)
    assert (per_head(jnp.add, x, x) == 2 * x).all()
    assert (per_member(jnp.dot, x[0, 0], x[0, 0]) == (x[0, 0] ** 2).sum(-1)).all()
