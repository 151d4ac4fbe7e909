"""Weight-only int8 against NumPy and against the full weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import forward, init_params, unembed
from moco_jax.models.quantize import is_quantized, quantize, quantize_kernel, refuse_quantized

CONFIG = ModelConfig(
    family="qwen2",
    vocab_size=64,
    hidden_size=32,
    intermediate_size=48,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    qkv_bias=True,
)


def test_every_weight_is_off_by_half_a_step_at_most():
    kernel = np.random.default_rng(0).normal(size=(7, 40)).astype(np.float32)
    kernel[3] *= 100
    kernel[5] = 0
    small, scale = map(np.asarray, quantize_kernel(kernel))
    steps = np.abs(kernel).max(1) / 127
    steps[5] = 1
    np.testing.assert_allclose(scale, steps, rtol=1e-6)
    assert small.dtype == np.int8
    assert np.abs(small).max(1).tolist() == [127, 127, 127, 127, 127, 0, 127]
    assert (np.abs(small.T * scale - kernel.T) <= steps / 2 * (1 + 1e-5)).all()


def test_only_linear_layers_change_and_logits_stay_close():
    params = init_params(CONFIG, jax.random.key(0))
    params = jax.tree.map(lambda leaf: 8 * leaf if leaf.ndim > 1 else leaf, params)
    small = quantize(params)
    assert small["embed_tokens"]["embedding"] is params["embed_tokens"]["embedding"]
    assert small["lm_head"] is params["lm_head"]
    attention = small["layers_1"]["self_attn"]["q_proj"]
    assert set(attention) == {"kernel_int8", "kernel_scale", "bias"}
    tokens = jnp.arange(24).reshape(2, 12)
    positions = jnp.broadcast_to(jnp.arange(12), (2, 12))

    def logits(weights):
        return unembed(CONFIG, weights, forward(CONFIG, weights, tokens, positions)[0])

    full, rounded = logits(params), logits(small)
    # 127 steps a side: each product is off by well under 1 %, two layers by little more
    error = jnp.linalg.norm(full - rounded) / jnp.linalg.norm(full)
    assert 0 < error < 0.03


def test_a_bfloat16_model_keeps_its_type():
    small = quantize(init_params(CONFIG, jax.random.key(0), jnp.bfloat16))
    tokens = jnp.zeros((1, 3), jnp.int32)
    hidden, _ = forward(CONFIG, small, tokens, jnp.arange(3)[None])
    assert hidden.dtype == jnp.bfloat16


def test_what_needs_full_weights_refuses_by_name():
    params = init_params(CONFIG, jax.random.key(0))
    refuse_quantized(params, "merging a, b")
    assert not is_quantized(params)
    with pytest.raises(ValueError, match=r"merging a, b needs .* int8.*--dtype=float32"):
        refuse_quantized(quantize(params), "merging a, b")
