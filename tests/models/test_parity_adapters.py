"""Every module that PEFT can adapt, alone, in a bank and written again, against PEFT in float32."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.decoding.groups import Group, Weights, hidden_states, logits_of
from moco_jax.models import lora
from moco_jax.models.decoder import forward, unembed
from moco_jax.models.lora_files import load_adapter
from moco_jax.pool import Member, Pool, inspect
from moco_jax.testing import dummy_tokenizer

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")
torch_files = pytest.importorskip("safetensors.torch")

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore::UserWarning")]

TOKENIZER = dummy_tokenizer()
SMALL = {
    "vocab_size": len(TOKENIZER),
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "initializer_range": 0.15,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": None,
}
TOKENS = np.random.default_rng(0).integers(1, len(TOKENIZER), (4, 9))
POSITIONS = jnp.tile(jnp.arange(9), (4, 1))
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
FUSED = ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]


def save_base(folder, kind, **settings):
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(kind, **{**SMALL, **settings})
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)


def train(base, folder, seed, targets, **settings):
    """Writes an adapter that matters, and gives its logits."""
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    chosen = {"r": 2 + seed, "lora_alpha": 8, "target_modules": targets, **settings}
    config = peft.LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **chosen)
    model = peft.get_peft_model(model, config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, 0.2)
    model.save_pretrained(folder)
    return model, torch_logits(model)


def torch_logits(model):
    with torch.no_grad():
        return model(torch.tensor(TOKENS)).logits.numpy()


def alone(member):
    hidden, _ = forward(member.config, member.params, jnp.asarray(TOKENS), POSITIONS)
    return np.asarray(unembed(member.config, member.params, hidden))


def together(members, owners, layout):
    population = members[0].variant.population
    group = Group(members[0].config, population.size, layout)
    weights, owners = Weights(population.params, population.bank), jnp.array(owners)
    tokens = jnp.asarray(TOKENS)
    hidden, _ = hidden_states(group, weights, tokens, POSITIONS, None, owners)
    return np.asarray(logits_of(group, weights, hidden, owners))


CASES = {
    "all linear layers and the head": ("llama", [*LINEARS, "lm_head"], {}),
    "the embedding": ("llama", ["embed_tokens", "v_proj"], {}),
    "a tied head": ("qwen3", ["q_proj", "lm_head"], {"tie_word_embeddings": True}),
    "a tied embedding": ("llama", ["q_proj", "embed_tokens"], {"tie_word_embeddings": True}),
    "both ends, tied": ("llama", ["lm_head", "embed_tokens"], {"tie_word_embeddings": True}),
    "a scaled embedding under a soft cap": ("gemma2", ["embed_tokens", "lm_head"], {}),
    "a scaled embedding": ("gemma3_text", [*LINEARS, "embed_tokens"], {}),
    "fused layers and the head": ("phi3", [*FUSED, "lm_head"], {}),
}


@pytest.mark.parametrize("case", CASES)
def test_every_module_answers_as_in_peft(case, tmp_path):
    kind, targets, settings = CASES[case]
    save_base(tmp_path / "base", kind, **settings)
    names = [str(tmp_path / name) for name in "ab"]
    _, first = train(tmp_path / "base", names[0], 1, targets)
    # Without the ends of the model, so that a bank must fill it up
    _, second = train(tmp_path / "base", names[1], 2, targets[:1])
    assert np.abs(first - second).max() > 0.1
    for name, expected in zip(names, (first, second), strict=True):
        np.testing.assert_allclose(alone(Pool.load([name])[0]), expected, atol=2e-4)
    bank = Pool.load(names).members
    halves = np.concatenate([first[:2], second[2:]])
    np.testing.assert_allclose(together(bank, [0, 0, 1, 1], "shares"), halves, atol=2e-4)
    turns = np.stack([first[0], second[1], second[2], first[3]])
    np.testing.assert_allclose(together(bank, [0, 1, 1, 0], "mixed"), turns, atol=2e-4)
    # Merged out of the bank it is the same model, which loads in transformers
    np.testing.assert_allclose(alone(bank[0]), first, atol=2e-4)
    merged = Member(bank[0].info, bank[0].params, "merged")
    merged.save(tmp_path / "merged")
    whole = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    np.testing.assert_allclose(torch_logits(whole), first, atol=2e-4)
    np.testing.assert_allclose(alone(Pool.load([str(tmp_path / "merged")])[0]), first, atol=2e-4)
    # And written again as an adapter it loads in PEFT
    lora.save_adapter(tmp_path / "ours", load_adapter(names[0]), "../base")
    base = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    again = peft.PeftModel.from_pretrained(base, tmp_path / "ours").eval()
    np.testing.assert_allclose(torch_logits(again), first, atol=1e-5)


def test_a_tied_base_stays_itself_beside_an_adapter_of_its_head(tmp_path):
    save_base(tmp_path / "base", "llama", tie_word_embeddings=True)
    train(tmp_path / "base", tmp_path / "a", 1, ["lm_head"])
    train(tmp_path / "base", tmp_path / "b", 2, ["q_proj"])
    pool = Pool.load([str(tmp_path / name) for name in ("base", "a", "b")])
    assert "lm_head" not in pool[0].params
    embedding = pool[0].params["embed_tokens"]["embedding"]
    assert pool[1].variant.population.params["lm_head"]["kernel"] is embedding
    assert pool[1].config == pool[2].config


ROOT, OLD_ROOT = "base_model.model.model.", "base_model.model.language_model.model."
RENAMINGS = {
    "named after the adapter": lambda name: name.replace(".weight", ".default.weight"),
    "by a name of its own": lambda name: name.replace(".weight", ".my_adapter.weight"),
    "wrapped twice": lambda name: f"base_model.model.{name}",
    "one level deeper": lambda name: name.replace(ROOT, f"{ROOT}language_model."),
    "deeper, the older order": lambda name: name.replace(ROOT, OLD_ROOT),
}


@pytest.mark.parametrize("case", RENAMINGS)
def test_other_spellings_of_names_are_read(case, tmp_path):
    save_base(tmp_path / "base", "llama")
    patterns = {"rank_pattern": {"layers.1.self_attn.q_proj": 3}, "alpha_pattern": {"up_proj": 5}}
    _, expected = train(tmp_path / "base", tmp_path / "a", 1, ["q_proj", "up_proj"], **patterns)
    file = tmp_path / "a" / "adapter_model.safetensors"
    tensors = {RENAMINGS[case](name): leaf for name, leaf in torch_files.load_file(file).items()}
    torch_files.save_file(tensors, file)
    np.testing.assert_allclose(alone(Pool.load([str(tmp_path / "a")])[0]), expected, atol=2e-4)


@pytest.mark.parametrize(
    "settings",
    [
        {"use_dora": True},
        {"lora_bias": True},
        {"bias": "all"},
        {"modules_to_save": ["lm_head"]},
        {"modules_to_save": ["embed_tokens"]},
        {"trainable_token_indices": {"embed_tokens": [1, 2]}},
    ],
    ids=str,
)
def test_what_is_not_plain_lora_is_refused_before_weights_are_read(settings, tmp_path):
    save_base(tmp_path / "base", "llama")
    names = [str(tmp_path / name) for name in "ab"]
    train(tmp_path / "base", names[0], 1, ["q_proj"])
    train(tmp_path / "base", names[1], 2, ["q_proj"], **settings)
    for pool in (names[1:], names):
        with pytest.raises(ValueError, match=f"is not plain LoRA: .*{next(iter(settings))}"):
            [inspect(name) for name in pool]


def test_an_adapter_with_embeddings_of_its_own_is_refused(tmp_path):
    save_base(tmp_path / "base", "llama")
    _, expected = train(tmp_path / "base", tmp_path / "a", 1, ["q_proj", "lm_head"])
    file = tmp_path / "a" / "adapter_model.safetensors"
    tensors = torch_files.load_file(file)
    copy = "base_model.model.lm_head.base_layer.weight"
    assert copy in tensors
    np.testing.assert_allclose(alone(Pool.load([str(tmp_path / "a")])[0]), expected, atol=2e-4)
    torch_files.save_file({**tensors, copy: tensors[copy] + 1}, file)
    with pytest.raises(ValueError, match="brings its own lm_head"):
        Pool.load([str(tmp_path / "a")])


@pytest.fixture(scope="module")
def multimodal(tmp_path_factory):
    """A small multimodal Gemma 3 and its folder."""
    folder = tmp_path_factory.mktemp("gemma3")
    text = transformers.Gemma3TextConfig(**SMALL, sliding_window=4, query_pre_attn_scalar=16)
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    vision |= {"num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    config = transformers.Gemma3Config(
        text_config=text.to_dict(), vision_config=vision, mm_tokens_per_image=4
    )
    torch.manual_seed(0)
    model = transformers.Gemma3ForConditionalGeneration(config).eval()
    model.save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("old", [False, True], ids=["new order", "old order"])
@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": r".*language_model.*\.(q_proj|v_proj)"},
        {"target_modules": ["q_proj", "k_proj", "down_proj", "lm_head"]},
        {
            "target_modules": r".*language_model.*\.(q_proj|up_proj)",
            "rank_pattern": {r"language_model\.layers\.1\.self_attn\.q_proj": 5},
            "alpha_pattern": {r"^model\.language_model\.layers\.0\.mlp\.up_proj": 32},
        },
    ],
    ids=["text only", "vision too", "patterns"],
)
def test_adapters_of_a_multimodal_model(multimodal, settings, old, tmp_path):
    torch.manual_seed(1)
    model = transformers.AutoModelForImageTextToText.from_pretrained(multimodal)
    config = peft.LoraConfig(r=3, lora_alpha=8, init_lora_weights=False, **settings)
    model = peft.get_peft_model(model, config).eval()
    model.save_pretrained(tmp_path)
    file, raw = tmp_path / "adapter_model.safetensors", tmp_path / "adapter_config.json"
    if old:
        tensors = torch_files.load_file(file)
        swap = [("model.language_model.", "language_model.model."), ("model.vision", "vision")]
        for new, before in swap:
            tensors = {name.replace(new, before): leaf for name, leaf in tensors.items()}
        torch_files.save_file(tensors, file)
        text = raw.read_text().replace("^model\\\\.language_model", "^language_model\\\\.model")
        raw.write_text(
            text.replace("language_model\\\\.layers", "language_model\\\\.model\\\\.layers")
        )
    member = Pool.load([str(tmp_path)])[0]
    np.testing.assert_allclose(alone(member), torch_logits(model), atol=2e-4)
    assert json.loads(raw.read_text())["base_model_name_or_path"] == str(multimodal)
