"""The decoder by itself: causality, cache discipline, padding, dtypes, memory."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import Decoder, forward, init_cache, init_params, unembed
from moco_jax.models.families import FAMILIES, tensor_table
from moco_jax.models.rope import Rope

VOCAB = 23
ROPES = {
    "phi3": Rope(
        kind="longrope",
        trained_positions=64,
        attention_factor=1.1,
        short_factor=(1.0, 1.2),
        long_factor=(2.0, 4.0),
    )
}


def _config(family: str = "gemma3_text", **changes) -> ModelConfig:
    """A config with whatever makes its family special."""
    settings = {
        "family": family,
        "vocab_size": VOCAB,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_layers": 2,
        "num_heads": 4,
        "num_kv_heads": 2,
        "qkv_bias": True,
        "rope": ROPES.get(family, Rope()),
        "local_rope": Rope(theta=50.0) if family == "gemma3_text" else None,
        "windows": (3, None),
        "attention_softcap": 2.0 if family == "gemma2" else None,
        "tie_embeddings": True,
    }
    return ModelConfig(**{**settings, **changes})


@functools.partial(jax.jit, static_argnums=0)
def _run(config, params, tokens, positions, cache=None):
    hidden, cache = forward(config, params, tokens, positions, cache)
    return unembed(config, params, hidden), cache


def _tokens(rows: int, width: int) -> jax.Array:
    return jax.random.randint(jax.random.key(1), (rows, width), 0, VOCAB)


def _positions(rows: int, width: int) -> jax.Array:
    return jnp.tile(jnp.arange(width), (rows, 1))


def _params(config: ModelConfig, dtype=jnp.float32):
    """Larger than at initialisation, so that attention is far from uniform."""
    params = init_params(config, jax.random.key(0), dtype)
    return jax.tree.map(lambda leaf: leaf * 10 if leaf.ndim == 2 else leaf, params)


@pytest.fixture(params=list(FAMILIES))
def family_config(request) -> ModelConfig:
    return _config(request.param)


def test_params_are_the_table_and_what_flax_would_make(family_config):
    params = init_params(family_config, jax.random.key(0))
    flat = jax.tree_util.tree_flatten_with_path(params)[0]
    shapes = {tuple(key.key for key in path): leaf.shape for path, leaf in flat}
    assert shapes == {spec.path: spec.shape for spec in tensor_table(family_config)}
    made = jax.eval_shape(
        Decoder(family_config).init, jax.random.key(0), _tokens(1, 2), _positions(1, 2)
    )
    assert jax.tree.structure(made["params"]) == jax.tree.structure(params)


def test_no_token_sees_the_future_nor_beyond_its_window(family_config):
    params, tokens = _params(family_config), _tokens(1, 8)
    changed = tokens.at[0, 4].set((tokens[0, 4] + 1) % VOCAB)
    before, _ = _run(family_config, params, tokens, _positions(1, 8))
    after, _ = _run(family_config, params, changed, _positions(1, 8))
    moved = np.abs(np.asarray(before - after)).max(-1)[0] > 1e-6
    np.testing.assert_array_equal(moved, np.arange(8) >= 4)


def test_a_window_hides_what_is_older():
    config = _config("mistral", windows=(3,), num_layers=1)
    params, tokens = _params(config), _tokens(1, 8)
    changed = tokens.at[0, 2].set((tokens[0, 2] + 1) % VOCAB)
    difference = _run(config, params, tokens, _positions(1, 8))[0]
    difference -= _run(config, params, changed, _positions(1, 8))[0]
    moved = np.abs(np.asarray(difference)).max(-1)[0] > 1e-6
    np.testing.assert_array_equal(moved, (np.arange(8) >= 2) & (np.arange(8) < 5))


def test_chunked_prefill_and_decoding_equal_the_whole(family_config):
    params, tokens, positions = _params(family_config), _tokens(2, 9), _positions(2, 9)
    whole, none = _run(family_config, params, tokens, positions)
    assert none is None
    cache, pieces = init_cache(family_config, 2, 12), []
    for begin, end in [(0, 4), (4, 7), (7, 8), (8, 9)]:
        logits, cache = _run(
            family_config, params, tokens[:, begin:end], positions[:, begin:end], cache
        )
        pieces.append(logits)
    np.testing.assert_allclose(np.concatenate(pieces, 1), whole, atol=2e-5, rtol=2e-5)


def test_rows_write_at_their_own_positions_and_padding_is_invisible(family_config):
    params, tokens = _params(family_config), _tokens(2, 6)
    whole, _ = _run(family_config, params, tokens, _positions(2, 6))
    # Row 0 gives 3 tokens then 1, row 1 gives 1 then 3, padded on the left and the right
    pad = VOCAB - 1
    first = jnp.array([tokens[0, :3].tolist(), [pad, pad, int(tokens[1, 0])]])
    cache = init_cache(family_config, 2, 7)
    logits, cache = _run(family_config, params, first, jnp.array([[0, 1, 2], [-1, -1, 0]]), cache)
    np.testing.assert_allclose(logits[0], whole[0, :3], atol=2e-5)
    np.testing.assert_allclose(logits[1, 2], whole[1, 0], atol=2e-5)
    second = jnp.array([[int(tokens[0, 3]), pad, pad], tokens[1, 1:4].tolist()])
    logits, cache = _run(family_config, params, second, jnp.array([[3, -1, -1], [1, 2, 3]]), cache)
    np.testing.assert_allclose(logits[0, 0], whole[0, 3], atol=2e-5)
    np.testing.assert_allclose(logits[1], whole[1, 1:4], atol=2e-5)
    third = jnp.stack([tokens[0, 4:5], tokens[1, 4:5]])
    logits, cache = _run(family_config, params, third, jnp.array([[4], [4]]), cache)
    np.testing.assert_allclose(logits[:, 0], whole[:, 4], atol=2e-5)


def test_rewinding_needs_nothing():
    config = _config("qwen2")
    params, tokens, positions = _params(config), _tokens(1, 6), _positions(1, 6)
    _, cache = _run(config, params, tokens, positions, init_cache(config, 1, 8))
    other = (tokens[:, 3:4] + 1) % VOCAB
    again, _ = _run(config, params, other, positions[:, 3:4], cache)
    fresh, _ = _run(config, params, jnp.concatenate([tokens[:, :3], other], 1), positions[:, :4])
    np.testing.assert_allclose(again[:, 0], fresh[:, 3], atol=2e-5)


def test_a_position_beyond_the_cache_is_dropped():
    config = _config("qwen2")
    params = _params(config)
    _, before = _run(config, params, _tokens(1, 4), _positions(1, 4), init_cache(config, 1, 4))
    for tokens, positions in [([[3]], [[4]]), ([[3, 4]], [[-1, 9]])]:
        _, after = _run(config, params, jnp.array(tokens), jnp.array(positions), before)
        assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), before, after))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_compute_follows_the_params_and_logits_are_float32(dtype):
    config = _config("gemma2")
    params = init_params(config, jax.random.key(0), dtype)
    cache = init_cache(config, 1, 4, dtype)
    hidden, cache = forward(config, params, _tokens(1, 3), _positions(1, 3), cache)
    assert hidden.dtype == dtype
    assert {leaf.dtype for leaf in jax.tree.leaves(cache)} == {jnp.dtype(dtype)}
    assert unembed(config, params, hidden).dtype == jnp.float32


def test_final_softcap_bounds_the_logits():
    config = _config("gemma2", final_softcap=0.5)
    logits, _ = _run(config, _params(config), _tokens(1, 3), _positions(1, 3))
    assert np.abs(np.asarray(logits)).max() <= 0.5


def test_gradients_are_finite_under_padding():
    config = _config("gemma2")
    params, tokens = init_params(config, jax.random.key(0)), _tokens(1, 4)
    positions = jnp.array([[-1, -1, 0, 1]])

    def loss(params):
        hidden, _ = forward(config, params, tokens, positions)
        return unembed(config, params, hidden)[0, 2:].sum()

    assert jax.tree.all(jax.tree.map(lambda g: bool(jnp.isfinite(g).all()), jax.grad(loss)(params)))


def test_a_classifier_has_no_logits():
    config = _config("llama", num_labels=1)
    with pytest.raises(ValueError, match="reward model"):
        unembed(config, init_params(config, jax.random.key(0)), jnp.zeros((1, 16)))


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_a_decoding_loop_does_not_copy_the_cache(rows, family):
    config = _config(family, windows=(), head_dim=64)
    params, cache = _params(config), init_cache(config, rows, 2048)

    @functools.partial(jax.jit, donate_argnums=1)
    def loop(params, cache, token, position):
        def step(state):
            token, position, cache = state
            hidden, cache = forward(config, params, token[:, None], position[:, None], cache)
            token = unembed(config, params, hidden[:, 0]).argmax(-1).astype(jnp.int32)
            return token, position + 1, cache

        return jax.lax.while_loop(lambda s: s[1].max() < 2000, step, (token, position, cache))

    row = jnp.zeros(rows, jnp.int32)
    compiled = loop.lower(params, cache, row, row).compile()
    memory = compiled.memory_analysis()
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(cache))
    assert memory.alias_size_in_bytes >= size
    assert memory.temp_size_in_bytes < size / 4
    for leaf in cache[0]:
        layer = str(leaf.shape).strip("()").replace(" ", "")
        copies = [line for line in compiled.as_text().splitlines() if f"f32[{layer}]" in line]
        assert not [line for line in copies if " copy(" in line or " transpose(" in line]
