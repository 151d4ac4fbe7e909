"""Adapters: what they add, what they refuse, and that they survive the disk."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from moco_jax.models import lora, lora_files
from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import init_params
from moco_jax.models.lora import Adapter, LoraConfig

CONFIG = ModelConfig(
    family="llama",
    vocab_size=23,
    hidden_size=8,
    intermediate_size=12,
    num_layers=2,
    num_heads=2,
    max_positions=32,
)


@pytest.fixture(scope="module")
def params():
    return init_params(CONFIG, jax.random.key(0))


def filled(params, config, dtype=jnp.float32):
    """An adapter whose B is not zero."""
    adapter = lora.init_adapter(params, config, jax.random.key(1), dtype)
    return jax.tree.map(lambda leaf: leaf + 0.1, adapter)


def test_fresh_adapter_changes_nothing(params):
    adapter = lora.init_adapter(params, LoraConfig(rank=3), jax.random.key(1))
    assert len(adapter.factors) == 2 * 4
    assert adapter.factors["layers_1/self_attn/q_proj"]["a"].shape == (8, 3)
    assert jnp.abs(adapter.factors["layers_1/self_attn/q_proj"]["a"]).max() <= 8**-0.5
    jax.tree.map(np.testing.assert_array_equal, lora.merge_adapter(params, adapter), params)


def test_merging_adds_the_scaled_product_and_shares_the_rest(params):
    config = LoraConfig(
        rank=4,
        alpha=6.0,
        targets=("q_proj", "down_proj"),
        rank_pattern=(("down_proj", 2),),
        alpha_pattern=(("layers.1.self_attn.q_proj", 8.0),),
    )
    adapter = filled(params, config)
    merged = lora.merge_adapter(params, adapter)
    scales = {"layers_0/self_attn/q_proj": 1.5, "layers_1/self_attn/q_proj": 2.0}
    scales |= {"layers_0/mlp/down_proj": 3.0, "layers_1/mlp/down_proj": 3.0}
    assert adapter.factors.keys() == scales.keys()
    for module, scale in scales.items():
        layer, block, name = module.split("/")
        factor = adapter.factors[module]
        added = merged[layer][block][name]["kernel"] - params[layer][block][name]["kernel"]
        np.testing.assert_allclose(added, (scale * factor["a"] @ factor["b"]).T, atol=1e-6)
    assert (
        merged["layers_0"]["mlp"]["up_proj"]["kernel"]
        is (params["layers_0"]["mlp"]["up_proj"]["kernel"])
    )


def test_rank_stabilised_scale_divides_by_the_root():
    config = LoraConfig(rank=16, alpha=8.0)
    assert config.scale("layers_0/self_attn/q_proj") == 0.5
    assert dataclasses.replace(config, use_rslora=True).scale("layers_0/mlp/up_proj") == 2.0


def test_merge_sums_in_f32_and_keeps_the_dtype(params):
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    adapter = filled(half, LoraConfig(rank=2, alpha=2.0), jnp.bfloat16)
    merged = lora.merge_adapter(half, adapter)["layers_0"]["self_attn"]["q_proj"]["kernel"]
    factor = adapter.factors["layers_0/self_attn/q_proj"]
    a, b = (np.asarray(factor[side], np.float32) for side in "ab")
    base = np.asarray(half["layers_0"]["self_attn"]["q_proj"]["kernel"], np.float32)
    assert merged.dtype == jnp.bfloat16
    np.testing.assert_array_equal(merged, (base + (a @ b).T).astype(jnp.bfloat16))


def test_leaves_are_the_factors_so_adapters_train_and_stack(params):
    adapter = filled(params, LoraConfig(rank=2))
    gradient = jax.grad(
        lambda adapter: sum(
            jnp.sum(x**2) for x in jax.tree.leaves(lora.merge_adapter(params, adapter))
        )
    )(adapter)
    assert isinstance(gradient, Adapter)
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(gradient))
    bank = jax.tree.map(lambda *leaves: jnp.stack(leaves), adapter, gradient)
    merged = jax.vmap(lora.merge_adapter, (None, 0))(params, bank)
    one = lora.merge_adapter(params, gradient)
    jax.tree.map(
        lambda stacked, leaf: np.testing.assert_allclose(stacked[1], leaf, rtol=1e-5, atol=1e-6),
        merged,
        one,
    )


def test_fused_projections_are_adapted_as_one():
    fused = dataclasses.replace(CONFIG, family="phi3")
    params = init_params(fused, jax.random.key(0))
    config = LoraConfig(rank=2, targets=("q_proj", "k_proj", "o_proj", "up_proj"))
    adapter = lora.init_adapter(params, config, jax.random.key(1))
    assert adapter.config.targets == ("qkv_proj", "o_proj", "gate_up_proj")
    assert adapter.factors["layers_0/self_attn/qkv_proj"]["b"].shape == (2, 24)
    assert len(adapter.factors) == 6


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_adapters_survive_the_disk_bit_for_bit(params, tmp_path, dtype):
    config = LoraConfig(4, 6.0, ("q_proj", "up_proj"), True, (("up_proj", 2),), (("q_proj", 3.0),))
    adapter = filled(params, config, dtype)
    lora.save_adapter(tmp_path / "adapter", adapter, base="org/name")
    again = lora_files.load_adapter(tmp_path / "adapter")
    assert again.config == adapter.config
    jax.tree.map(np.testing.assert_array_equal, again, adapter)
    assert jax.tree.leaves(again)[0].dtype == dtype
    assert (
        jax.tree.leaves(lora_files.load_adapter(tmp_path / "adapter", jnp.float16))[0].dtype
        == "float16"
    )
    assert sorted(f.name for f in (tmp_path / "adapter").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


def test_base_is_found_beside_the_adapter(params, tmp_path):
    folder = tmp_path / "adapter"
    adapter = filled(params, LoraConfig(rank=2))
    lora.save_adapter(folder, adapter, base="../base")
    assert lora_files.is_adapter_dir(folder)
    with pytest.raises(ValueError, match=r"base model '../base' .* is not at"):
        lora_files.adapter_base(folder)
    (tmp_path / "base").mkdir()
    assert lora_files.adapter_base(folder) == str((tmp_path / "base").resolve())
    assert not lora_files.is_adapter_dir(tmp_path / "base")
    (folder / "config.json").write_text("{}")
    assert lora_files.is_adapter_dir(folder), "the config of a base may lie beside an adapter"
    lora.save_adapter(folder, adapter, base="org/name")
    assert lora_files.adapter_base(folder) == "org/name"
    file = folder / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "revision": "abc"}))
    assert lora_files.adapter_base(folder) == "org/name@abc"
    lora.save_adapter(folder, adapter, base="/some/where")
    with pytest.raises(ValueError, match=r"not at /some/where; .* base_model_name_or_path in .*"):
        lora_files.adapter_base(folder)
    lora.save_adapter(folder, adapter, base="")
    with pytest.raises(ValueError, match="names no base model"):
        lora_files.adapter_base(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"use_dora": True}, "use_dora = True"),
        ({"bias": "lora_only"}, "bias = 'lora_only'"),
        ({"modules_to_save": ["lm_head"]}, r"modules_to_save = \['lm_head'\]"),
        ({"peft_type": "IA3"}, "peft_type 'IA3'"),
        ({"init_lora_weights": "pissa"}, "it changes the base"),
        ({"use_something_new": {"x": 1}}, "use_something_new"),
        ({"r": 5}, r"rank by adapter_config.json .* is 5"),
        ({"rank_pattern": {"(": 1}}, "no regular expression"),
    ],
)
def test_what_is_not_plain_lora_is_refused_by_name(params, tmp_path, change, message):
    lora.save_adapter(tmp_path, filled(params, LoraConfig(rank=2)), base="org/name")
    file = tmp_path / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(ValueError, match=message):
        lora_files.load_adapter(tmp_path)


def test_pickle_and_foreign_factors_are_refused(params, tmp_path):
    adapter = filled(params, LoraConfig(rank=2, targets=("q_proj",)))
    lora.save_adapter(tmp_path, adapter, base="org/name")
    name = "base_model.model.model.norm.weight"
    save_file({name: np.zeros(8, np.float32)}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ValueError, match=f"holds {name}, which is no factor"):
        lora_files.load_adapter(tmp_path)
    (tmp_path / "adapter_model.safetensors").rename(tmp_path / "adapter_model.bin")
    with pytest.raises(ValueError, match="a pickle file"):
        lora_files.load_adapter(tmp_path)
    with pytest.raises(ValueError, match=r"has no adapter_config\.json"):
        lora_files.load_adapter(tmp_path / "nowhere")


def test_wrong_base_and_unknown_targets_are_named(params):
    adapter = filled(params, LoraConfig(rank=2))
    wider = init_params(dataclasses.replace(CONFIG, hidden_size=16), jax.random.key(0))
    with pytest.raises(
        ValueError, match=r"model.layers.0.self_attn.k_proj is \[8, 16\] .*\[8, 8\]"
    ):
        lora.merge_adapter(wider, adapter)
    with pytest.raises(ValueError, match=r"called 'query'; .* down_proj, gate_proj"):
        lora.init_adapter(params, LoraConfig(targets=("query",)), jax.random.key(0))
    with pytest.raises(ValueError, match="targets is empty"):
        LoraConfig(targets=())
