"""Identities follow content and constants, and nothing else."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from moco_jax.models.config import ModelConfig
from moco_jax.models.encoder import EncoderConfig
from moco_jax.models.identity import adapted_identity, fingerprint
from moco_jax.models.lora import Adapter
from moco_jax.models.lora_config import LoraConfig
from moco_jax.models.rope import Rope

CONFIG = ModelConfig(
    vocab_size=4, hidden_size=2, intermediate_size=2, num_layers=1, num_heads=1, head_dim=2
)
PARAMS = {
    "embed_tokens": {"embedding": jnp.arange(8.0).reshape(4, 2)},
    "layers_0": {"mlp": {"up_proj": {"kernel": jnp.array([[1.0, 2.0], [3.0, 4.0]])}}},
    "norm": {"scale": jnp.ones(2, jnp.bfloat16)},
}
ADAPTER = Adapter(
    {"layers_0/mlp/up_proj": {"a": jnp.ones((2, 1)), "b": jnp.full((1, 2), 2.0)}},
    LoraConfig(rank=1, alpha=3.0),
)
OTHER = {
    **{"family": "qwen3", "vocab_size": 5, "hidden_size": 4, "intermediate_size": 3},
    **{"num_layers": 2, "num_heads": 2, "num_kv_heads": 2, "head_dim": 4, "max_positions": 7},
    **{"tie_embeddings": True, "norm_eps": 1e-3, "activation": "relu", "qkv_bias": True},
    **{"output_bias": True, "mlp_bias": True, "rope": Rope(theta=2.0), "local_rope": Rope()},
    **{"windows": (3,), "query_scale": 0.5, "attention_softcap": 1.0, "final_softcap": 2.0},
    "num_labels": 1,
}
OTHER_ROPE = {
    **{"theta": 2.0, "kind": "linear", "factor": 2.0, "trained_positions": 9},
    **{"rotary_fraction": 0.5, "attention_factor": 2.0, "low_freq_factor": 2.0},
    **{"high_freq_factor": 5.0, "beta_fast": 3.0, "beta_slow": 2.0, "truncate": False},
    **{"short_factor": (1.0,), "long_factor": (1.0,)},
}


def test_the_identity_of_a_model_stays_what_it_is():
    # Every random draw follows from these hashes: who changes one raises `identity.VERSION`
    known = "379bad821978f4f189a544b7f808660a41fa1a53bbbbef90786b37ee38f41438"
    assert fingerprint(PARAMS, CONFIG, "rules") == known
    known = "bc33cf58386b260b21eda0751e1e47f4c97f260a480cdbdb0c3e1e2dd5ef32d6"
    assert adapted_identity("base", ADAPTER, "rules") == known


def test_a_kernel_counts_as_it_stands():
    turned = jax.tree.map(lambda leaf: leaf, PARAMS)
    kernel = PARAMS["layers_0"]["mlp"]["up_proj"]["kernel"]
    turned["layers_0"]["mlp"]["up_proj"]["kernel"] = kernel.T
    assert fingerprint(turned, CONFIG, "") != fingerprint(PARAMS, CONFIG, "")


@pytest.mark.parametrize("change", ["value", "dtype", "shape", "name"])
def test_every_tensor_counts(change):
    scale = PARAMS["norm"]["scale"]
    changed = {
        "value": {"norm": {"scale": 2 * scale}},
        "dtype": {"norm": {"scale": scale.astype(jnp.float16)}},
        "shape": {"norm": {"scale": scale[None]}},
        "name": {"other": {"scale": scale}, "norm": {}},
    }[change]
    assert fingerprint(PARAMS | changed, CONFIG, "") != fingerprint(PARAMS, CONFIG, "")


@pytest.mark.parametrize("config", [CONFIG, EncoderConfig(), Rope()], ids=lambda one: type(one))
def test_every_setting_of_an_architecture_counts(config):
    others = {ModelConfig: OTHER, Rope: OTHER_ROPE}.get(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        other = others[field.name] if others else ("relu" if value == "gelu" else value + 1)
        # Set from outside, since not every setting may change alone
        changed = object.__new__(type(config))
        changed.__dict__.update(config.__dict__ | {field.name: other})
        assert changed.content() != config.content(), field.name


def test_no_name_of_a_class_or_field_is_part_of_it():
    for config in (CONFIG, EncoderConfig(), Rope()):
        text = str(config.content())
        names = [field.name for field in dataclasses.fields(config)] + [type(config).__name__]
        assert not [name for name in names if name in text]


def test_the_scale_and_the_factors_of_an_adapter_count():
    known = adapted_identity("base", ADAPTER, "")
    louder = dataclasses.replace(ADAPTER, config=LoraConfig(rank=1, alpha=4.0))
    longer = jax.tree.map(lambda leaf: 2 * leaf, ADAPTER)
    found = [adapted_identity("base", one, "") for one in (louder, longer)]
    found += [adapted_identity("other", ADAPTER, ""), adapted_identity("base", ADAPTER, "x")]
    assert len({known, *found}) == 5
