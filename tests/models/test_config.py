"""Configs: what is read, what is refused, and with which words."""

import dataclasses

import pytest

from moco_jax.models.config import ModelConfig
from moco_jax.models.cost import count_params, flops_per_token
from moco_jax.models.families import FAMILIES

RAW = {
    "model_type": "llama",
    "vocab_size": 50,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def _read(**changes):
    return ModelConfig.from_hf(RAW | changes)


def test_config_is_hashable_and_fills_in_what_is_derived():
    config = ModelConfig(hidden_size=64, num_heads=4, num_layers=3)
    assert hash(config) == hash(dataclasses.replace(config))
    assert (config.head_dim, config.num_kv_heads) == (16, 4)
    assert config.windows == (None,) * 3
    assert config.query_scale == 0.25


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_defaults_for_all_keys(family):
    config = ModelConfig.from_hf({"model_type": family})
    assert config.family == family
    assert config.num_layers == len(config.windows)


def test_rope_of_both_transformers_generations():
    scaling = {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    }
    old = _read(rope_theta=5e5, rope_scaling=scaling)
    new = _read(rope_parameters=scaling | {"rope_theta": 5e5})
    assert old == new
    assert (old.rope.theta, old.rope.kind) == (5e5, "llama3")


def test_gemma3_local_rope_of_both_generations():
    linear = {"rope_type": "linear", "factor": 8.0}
    old = _read(
        model_type="gemma3_text", rope_theta=1e6, rope_local_base_freq=1e4, rope_scaling=linear
    )
    new = _read(
        model_type="gemma3_text",
        rope_parameters={
            "full_attention": linear | {"rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        },
    )
    assert old == new
    assert old.local_rope.theta == 1e4
    assert old.local_rope.kind == "default"


@pytest.mark.parametrize(
    ("changes", "windows"),
    [
        ({"model_type": "mistral", "sliding_window": 8}, (8, 8, 8, 8)),
        ({"model_type": "mistral", "sliding_window": None}, (None,) * 4),
        ({"model_type": "llama", "sliding_window": 8}, (None,) * 4),
        ({"model_type": "qwen2", "sliding_window": 8, "max_window_layers": 0}, (None,) * 4),
        (
            {
                "model_type": "qwen2",
                "sliding_window": 8,
                "max_window_layers": 3,
                "use_sliding_window": True,
            },
            (None, None, None, 8),
        ),
        ({"model_type": "gemma2", "sliding_window": 8}, (8, None, 8, None)),
        (
            {"model_type": "gemma3_text", "sliding_window": 8, "sliding_window_pattern": 3},
            (8, 8, None, 8),
        ),
    ],
)
def test_windows_follow_the_family(changes, windows):
    assert _read(**changes).windows == windows


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": "falcon"}, ["falcon", "llama", "olmo2"]),
        ({"model_type": "mixtral", "num_local_experts": 8}, ["mixture of experts", "dense"]),
        ({"model_type": "qwen3_moe", "num_experts": 8}, ["mixture of experts"]),
        ({"quantization_config": {"quant_method": "gptq"}}, ["gptq", "unquantized"]),
        ({"quantization_config": {"quant_method": "fp8"}}, ["fp8"]),
        ({"architectures": ["LlamaForTokenClassification"]}, ["LlamaForCausalLM"]),
        ({"rope_scaling": {"type": "mrope"}}, ["mrope", "yarn"]),
        ({"rope_scaling": {"rope_type": "llama3"}}, ["low_freq_factor"]),
        ({"hidden_act": "xielu"}, ["xielu", "silu"]),
        ({"num_key_value_heads": 3}, ["num_heads = 4", "num_kv_heads = 3"]),
        ({"model_type": "gemma2", "layer_types": ["chunked_attention"] * 4}, ["chunked"]),
        ({"model_type": "gemma2", "layer_types": ["full_attention"]}, ["1 layers", "4"]),
        ({"model_type": "gemma3_text", "use_bidirectional_attention": True}, ["embedding"]),
        ({"model_type": "gemma3"}, ["text_config"]),
    ],
)
def test_what_cannot_be_loaded_is_named(changes, words):
    with pytest.raises(ValueError) as error:
        _read(**changes)
    for word in words:
        assert word in str(error.value)


def test_classification_heads_are_read_from_the_architecture():
    name = "LlamaForSequenceClassification"
    assert _read(architectures=[name], id2label={"0": "LABEL_0"}).num_labels == 1
    assert _read(architectures=[name]).num_labels == 2
    assert _read().num_labels == 0


def test_cost_counts_by_hand():
    config = _read(num_hidden_layers=1, tie_word_embeddings=True)
    layer = 16 * 16 * 2 + 16 * 8 * 2 + 3 * 16 * 24
    assert count_params(config) == 50 * 16 + layer + 3 * 16
    assert flops_per_token(config, 10) == 2 * (layer + 2 * 10 * 16 + 16 * 50)
    windowed = _read(model_type="mistral", num_hidden_layers=1, sliding_window=4)
    short = flops_per_token(windowed, 4, logits=False)
    assert flops_per_token(windowed, 10, logits=False) == short
