"""The decoder against transformers' PyTorch models, in float32, with the odd features on."""

import copy
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import forward, init_cache, unembed

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.parity

SMALL = {
    "vocab_size": 101,
    "hidden_size": 32,
    "intermediate_size": 56,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.15,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
    "rope_theta": 500.0,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
LONG = {
    "rope_type": "longrope",
    "short_factor": [1.0, 1.1, 1.3, 1.6],
    "long_factor": [1.5, 2.0, 4.0, 9.0],
}
CASES = {
    "llama": {"model_type": "llama"},
    "llama_biases_wide_heads": {
        "model_type": "llama",
        "attention_bias": True,
        "mlp_bias": True,
        "head_dim": 16,
        "rope_parameters": {"rope_theta": 1e4, "rope_type": "linear", "factor": 3.0},
        "hidden_act": "gelu",
    },
    "llama3": {"model_type": "llama", "tie_word_embeddings": True, "rope_parameters": LLAMA3},
    "llama_dynamic": {
        "model_type": "llama",
        "max_position_embeddings": 8,
        "rope_parameters": {"rope_theta": 1e4, "rope_type": "dynamic", "factor": 2.0},
    },
    "mistral": {"model_type": "mistral", "sliding_window": 5, "head_dim": 12},
    "mistral_no_window": {"model_type": "mistral", "sliding_window": None},
    "qwen2": {"model_type": "qwen2", "tie_word_embeddings": True},
    "qwen2_windows_yarn": {
        "model_type": "qwen2",
        "use_sliding_window": True,
        "sliding_window": 6,
        "max_window_layers": 1,
        "rope_parameters": YARN | {"rope_theta": 1e6},
    },
    "qwen3": {"model_type": "qwen3", "head_dim": 16, "attention_bias": True},
    "gemma2": {
        "model_type": "gemma2",
        "head_dim": 16,
        "query_pre_attn_scalar": 24,
        "sliding_window": 4,
        "attn_logit_softcapping": 3.0,
        "final_logit_softcapping": 2.0,
    },
    "gemma3_text": {
        "model_type": "gemma3_text",
        "head_dim": 16,
        "query_pre_attn_scalar": 24,
        "sliding_window": 4,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
        },
    },
    "phi3": {"model_type": "phi3", "sliding_window": 7},
    "phi3_long_short": {
        "model_type": "phi3",
        "rope_parameters": LONG | {"rope_theta": 1e4},
        "original_max_position_embeddings": 96,
    },
    "phi3_long_long": {
        "model_type": "phi3",
        "rope_parameters": LONG | {"rope_theta": 1e4},
        "original_max_position_embeddings": 4,
    },
    "phi3_partial": {
        "model_type": "phi3",
        "rope_parameters": {
            "rope_theta": 1e4,
            "rope_type": "default",
            "partial_rotary_factor": 0.5,
        },
    },
    "olmo2": {"model_type": "olmo2", "attention_bias": True},
    "olmo2_yarn": {"model_type": "olmo2", "rope_parameters": YARN | {"rope_theta": 5e5}},
}

BY_LENGTH = ("dynamic", "longrope")


@functools.cache
def _reference(case: str):
    """A randomly initialised PyTorch model; norms and biases are drawn too, so that they count."""
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(**{**SMALL, **CASES[case]})
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model.float().eval()


@pytest.fixture(params=list(CASES))
def pair(request, tmp_path):
    """The PyTorch model, and its checkpoint as we load it."""
    model = _reference(request.param)
    model.save_pretrained(tmp_path / "hf")
    return model, load_checkpoint(tmp_path / "hf", jnp.float32)


def _batch(lengths: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Left-padded tokens, mask and positions."""
    rng, width = np.random.default_rng(seed), max(lengths)
    mask = np.array([[0] * (width - n) + [1] * n for n in lengths])
    tokens = rng.integers(1, SMALL["vocab_size"], mask.shape) * mask
    return tokens, mask, np.where(mask, mask.cumsum(1) - 1, -1)


def _logits(model, tokens: np.ndarray, mask: np.ndarray, positions: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(
            torch.tensor(tokens),
            attention_mask=torch.tensor(mask),
            position_ids=torch.tensor(np.maximum(positions, 0)),
        ).logits.numpy()


@functools.partial(jax.jit, static_argnums=0)
def _forward(config: ModelConfig, params, tokens, positions):
    return unembed(config, params, forward(config, params, tokens, positions)[0])


def _our_logits(ours: Checkpoint, tokens: np.ndarray, positions: np.ndarray) -> np.ndarray:
    return np.asarray(_forward(ours.config, ours.params, tokens, positions))


def _close(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


def test_logits_of_a_left_padded_batch(pair):
    model, ours = pair
    tokens, mask, positions = _batch([19, 12, 17])
    if ours.config.rope.kind in BY_LENGTH:
        # There the longest row of a batch, and calls before it, change the others' frequencies;
        # here every row has its own
        rows = [slice(row, row + 1) for row in range(len(tokens))]
        logits = [_logits(copy.deepcopy(model), tokens[r], mask[r], positions[r]) for r in rows]
        theirs = np.concatenate(logits)
    else:
        theirs = _logits(model, tokens, mask, positions)
    real = mask.astype(bool)
    _close(_our_logits(ours, tokens, positions)[real], theirs[real])


@functools.partial(jax.jit, static_argnums=(0, 4))
def _greedy(config: ModelConfig, params, tokens, positions, steps: int, cache):
    """Prefill, then one token at a time in a loop on device: i32[B, steps]."""
    hidden, cache = forward(config, params, tokens, positions, cache)
    first = unembed(config, params, hidden[:, -1]).argmax(-1)

    def step(state):
        i, token, position, out, cache = state
        out = out.at[:, i].set(token)
        hidden, cache = forward(config, params, token[:, None], position[:, None], cache)
        token = unembed(config, params, hidden[:, 0]).argmax(-1)
        return i + 1, token, position + 1, out, cache

    out = jnp.zeros((tokens.shape[0], steps), first.dtype)
    state = (0, first, positions[:, -1] + 1, out, cache)
    return jax.lax.while_loop(lambda state: state[0] < steps, step, state)[3]


def test_greedy_decoding_gives_the_same_64_tokens(pair):
    model, ours = pair
    lengths = [9, 9] if ours.config.rope.kind in BY_LENGTH else [9, 6]
    tokens, mask, positions = _batch(lengths, seed=1)
    theirs = (
        copy.deepcopy(model)
        .generate(
            torch.tensor(tokens),
            attention_mask=torch.tensor(mask),
            max_new_tokens=64,
            do_sample=False,
            pad_token_id=0,
        )[:, tokens.shape[1] :]
        .numpy()
    )
    cache = init_cache(ours.config, len(lengths), 80)
    got = _greedy(ours.config, ours.params, jnp.asarray(tokens), jnp.asarray(positions), 64, cache)
    np.testing.assert_array_equal(np.asarray(got), theirs)


def test_saved_checkpoints_load_in_transformers_bit_exact(pair, tmp_path):
    model, ours = pair
    save_checkpoint(tmp_path / "ours", ours, max_shard_bytes=30_000)
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    assert type(again) is type(model)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_configs_of_transformers_4_mean_the_same(tmp_path):
    raw = SMALL | {"model_type": "llama", "rope_theta": 500.0}
    scaling = {k: v for k, v in LLAMA3.items() if k != "rope_theta"}
    new = json.loads(json.dumps(_reference("llama3").config.to_dict()))
    old = ModelConfig.from_hf(raw | {"rope_scaling": scaling, "tie_word_embeddings": True})
    assert old == ModelConfig.from_hf(new)


def test_multimodal_gemma3_loads_its_language_model(tmp_path):
    text = SMALL | CASES["gemma3_text"]
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    vision |= {"num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    config = transformers.Gemma3Config(text_config=text, vision_config=vision)
    model = transformers.Gemma3ForConditionalGeneration._from_config(
        config, attn_implementation="eager"
    ).eval()
    model.save_pretrained(tmp_path)
    ours = load_checkpoint(tmp_path, jnp.float32)
    tokens, _, positions = _batch([11, 11])
    with torch.no_grad():
        theirs = model(torch.tensor(tokens)).logits.numpy()
    _close(_our_logits(ours, tokens, positions), theirs)
