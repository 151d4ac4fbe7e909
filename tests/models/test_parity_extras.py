"""Adapters, score heads and encoders against PEFT and transformers, in float32."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.models import lora, lora_files
from moco_jax.models.checkpoint import load_checkpoint, save_checkpoint
from moco_jax.models.decoder import forward, unembed
from moco_jax.models.encoder import EncoderConfig, _read_params, embed, encode
from moco_jax.models.heads import score_sequences

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.parity

SMALL = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "initializer_range": 0.15,
    "pad_token_id": 0,
}
DECODER = {**SMALL, "num_key_value_heads": 2, "bos_token_id": None, "eos_token_id": None}
TOKENS = np.random.default_rng(0).integers(1, 61, (3, 9))
LENGTHS = np.array([9, 5, 7])
PADDED = np.where(np.arange(9) < LENGTHS[:, None], TOKENS, 0)


def model_of(kind, auto, **settings):
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(kind, **{**DECODER, **settings})
    model = auto.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def jax_logits(directory, adapter=None):
    loaded = load_checkpoint(directory)
    params = loaded.params if adapter is None else lora.merge_adapter(loaded.params, adapter)
    positions = jnp.tile(jnp.arange(TOKENS.shape[1]), (len(TOKENS), 1))
    hidden, _ = forward(loaded.config, params, jnp.asarray(TOKENS), positions)
    return np.asarray(unembed(loaded.config, params, hidden))


def torch_logits(model):
    with torch.no_grad():
        return model(torch.tensor(TOKENS)).logits.numpy()


ADAPTERS = {
    "plain": (
        "llama",
        {"r": 4, "lora_alpha": 6, "target_modules": ["q_proj", "v_proj", "down_proj"]},
    ),
    "rslora": (
        "qwen2",
        {"r": 4, "lora_alpha": 6, "use_rslora": True, "target_modules": "all-linear"},
    ),
    "patterns": (
        "llama",
        {
            "r": 4,
            "lora_alpha": 4,
            "target_modules": ["q_proj", "o_proj", "up_proj"],
            "rank_pattern": {"up_proj": 2, "layers.1.self_attn.q_proj": 3},
            "alpha_pattern": {"o_proj": 9, "^model.layers.1.mlp.up_proj": 5},
            "layers_to_transform": [1],
        },
    ),
    "fused": ("phi3", {"r": 4, "lora_alpha": 8, "target_modules": ["qkv_proj", "gate_up_proj"]}),
    "regex": (
        "gemma2",
        {"r": 2, "lora_alpha": 8, "target_modules": r".*layers\.1.*\.(q|down)_proj"},
    ),
    "output": ("llama", {"r": 2, "lora_alpha": 8, "target_modules": ["k_proj", "lm_head"]}),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ADAPTERS)
def test_adapters_answer_as_in_peft_both_ways(name, tmp_path):
    kind, settings = ADAPTERS[name]
    model = model_of(kind, transformers.AutoModelForCausalLM)
    model.save_pretrained(tmp_path / "base")
    plain = torch_logits(model)
    adapted = peft.get_peft_model(
        model, peft.LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **settings)
    ).eval()
    adapted.save_pretrained(tmp_path / "theirs")
    expected = torch_logits(adapted)
    assert np.abs(expected - plain).max() > 1e-2

    adapter = lora_files.load_adapter(tmp_path / "theirs")
    np.testing.assert_allclose(jax_logits(tmp_path / "base", adapter), expected, atol=2e-4)

    lora.save_adapter(tmp_path / "ours", adapter, base="../base")
    base = transformers.AutoModelForCausalLM.from_pretrained(
        lora_files.adapter_base(tmp_path / "ours")
    )
    again = peft.PeftModel.from_pretrained(base, tmp_path / "ours").eval()
    np.testing.assert_allclose(torch_logits(again), expected, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [{"use_dora": True}, {"bias": "all"}, {"modules_to_save": ["lm_head"]}],
    ids=["dora", "bias", "modules"],
)
def test_variants_that_peft_writes_are_refused(settings, tmp_path):
    model = model_of("llama", transformers.AutoModelForCausalLM)
    config = peft.LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj"], **settings)
    peft.get_peft_model(model, config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=f"is not plain LoRA: {next(iter(settings))}"):
        lora_files.load_adapter(tmp_path)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "gemma2"])
def test_reward_models_score_as_in_transformers(kind, tmp_path):
    auto = transformers.AutoModelForSequenceClassification
    model = model_of(kind, auto, num_labels=1)
    model.save_pretrained(tmp_path / "theirs")
    with torch.no_grad():
        mask = torch.tensor(PADDED != 0).long()
        expected = model(torch.tensor(PADDED), attention_mask=mask).logits.numpy()
    loaded = load_checkpoint(tmp_path / "theirs")
    positions = jnp.where(PADDED != 0, jnp.arange(9), -1)
    scores = score_sequences(loaded.config, loaded.params, jnp.asarray(PADDED), positions)
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert np.ptp(expected) > 0.1

    save_checkpoint(tmp_path / "ours", loaded)
    again = auto.from_pretrained(tmp_path / "ours").eval()
    with torch.no_grad():
        np.testing.assert_allclose(
            again(torch.tensor(PADDED), attention_mask=mask).logits.numpy(), expected, atol=1e-5
        )


@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta"])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_encoders_embed_as_in_transformers(kind, activation, tmp_path):
    torch.manual_seed(0)
    settings = {**SMALL, "hidden_act": activation, "pad_token_id": 0 if kind == "bert" else 1}
    config = transformers.AutoConfig.for_model(kind, **settings)
    model = transformers.AutoModel.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.save_pretrained(tmp_path)
    tokens = np.where(PADDED != 0, np.maximum(TOKENS, 2), config.pad_token_id)
    mask = PADDED != 0
    with torch.no_grad():
        expected = model(torch.tensor(tokens), attention_mask=torch.tensor(mask).long())[0].numpy()

    config = EncoderConfig.from_hf(json.loads((tmp_path / "config.json").read_text()))
    params = _read_params(config, tmp_path, None)
    hidden = jax.jit(encode, static_argnums=0)(config, params, jnp.asarray(tokens), mask)
    np.testing.assert_allclose(np.asarray(hidden)[mask], expected[mask], atol=1e-4)
    mean = np.stack([row[keep].mean(axis=0) for row, keep in zip(expected, mask, strict=True)])
    vectors = embed(config, params, jnp.asarray(tokens), mask, normalize=False)
    np.testing.assert_allclose(vectors, mean, atol=1e-4)
    unit = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    np.testing.assert_allclose(embed(config, params, jnp.asarray(tokens), mask), unit, atol=1e-4)
