"""Checkpoints: round trips, what is refused and how, atomicity."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from moco_jax.models.checkpoint import (
    Checkpoint,
    load_checkpoint,
    open_checkpoint,
    save_checkpoint,
    write_checkpoint,
)
from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import init_params
from moco_jax.models.families import FAMILIES
from moco_jax.models.quantize import load_quantized

RAW = {
    "model_type": "llama",
    "vocab_size": 20,
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 4,
    "tie_word_embeddings": False,
}


def _make(dtype=jnp.float32, **changes) -> Checkpoint:
    raw = RAW | changes
    config = ModelConfig.from_hf(raw)
    return Checkpoint(config, init_params(config, jax.random.key(0), dtype), raw)


def _same(a, b) -> bool:
    equal = jax.tree.map(lambda x, y: x.dtype == y.dtype and np.array_equal(x, y), a, b)
    return jax.tree.all(equal)


@pytest.fixture
def saved(tmp_path):
    """A directory with a small llama."""
    save_checkpoint(tmp_path / "model", _make())
    return tmp_path / "model"


def _rewrite(directory, change) -> None:
    """Applies `change` to the dict of tensors on disk."""
    file = directory / "model.safetensors"
    tensors = safetensors.numpy.load_file(file)
    change(tensors)
    safetensors.numpy.save_file(tensors, file)


def _reconfigure(directory, **changes) -> None:
    file = directory / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_round_trip_is_bit_exact(family, tied, tmp_path):
    made = _make(jnp.bfloat16, model_type=family, tie_word_embeddings=tied, attention_bias=True)
    save_checkpoint(tmp_path / "m", made)
    loaded = load_checkpoint(tmp_path / "m")
    assert loaded.config == made.config
    assert ("lm_head" in loaded.params) != tied
    assert _same(loaded.params, made.params)


@pytest.mark.parametrize("disk", [jnp.float32, jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("target", [None, jnp.float32, jnp.bfloat16, jnp.float16])
def test_dtypes_on_disk_and_wanted(disk, target, tmp_path):
    made = _make(disk)
    save_checkpoint(tmp_path / "m", made)
    loaded = load_checkpoint(tmp_path / "m", target)
    assert _same(loaded.params, jax.tree.map(lambda x: x.astype(target or disk), made.params))


def test_shards_and_their_index(tmp_path):
    made = _make()
    save_checkpoint(tmp_path / "m", made, max_shard_bytes=1500)
    index = json.loads((tmp_path / "m" / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == {
        file.name for file in (tmp_path / "m").glob("*.safetensors")
    }
    assert len(set(index["weight_map"].values())) > 3
    assert _same(load_checkpoint(tmp_path / "m").params, made.params)


def test_files_are_what_safetensors_reads(saved):
    tensors = safetensors.numpy.load_file(saved / "model.safetensors")
    params = load_checkpoint(saved).params
    kernel = params["layers_1"]["mlp"]["down_proj"]["kernel"]
    np.testing.assert_array_equal(tensors["model.layers.1.mlp.down_proj.weight"], kernel)


def test_saving_casts_and_says_so(tmp_path):
    save_checkpoint(tmp_path / "m", _make(), dtype=ml_dtypes.bfloat16)
    assert json.loads((tmp_path / "m" / "config.json").read_text())["dtype"] == "bfloat16"
    assert load_checkpoint(tmp_path / "m").params["norm"]["scale"].dtype == jnp.bfloat16


def test_tokenizer_files_travel(saved, tmp_path):
    (saved / "tokenizer.json").write_text("{}")
    save_checkpoint(tmp_path / "copy", load_checkpoint(saved), tokenizer=saved)
    assert (tmp_path / "copy" / "tokenizer.json").is_file()
    with pytest.raises(ValueError, match="no tokenizer files"):
        save_checkpoint(tmp_path / "other", load_checkpoint(saved), tokenizer=tmp_path)


def test_reward_heads_round_trip(tmp_path):
    names = {"architectures": ["LlamaForSequenceClassification"], "id2label": {"0": "LABEL_0"}}
    made = _make(**names)
    save_checkpoint(tmp_path / "m", made)
    loaded = load_checkpoint(tmp_path / "m")
    assert loaded.params["score"]["kernel"].shape == (1, 8)
    assert "lm_head" not in loaded.params
    assert _same(loaded.params, made.params)


def test_tied_copies_and_rotary_buffers_are_ignored(tmp_path):
    made = _make(tie_word_embeddings=True)
    save_checkpoint(tmp_path / "m", made)

    def add(tensors):
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
        tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.ones(2, np.float32)

    _rewrite(tmp_path / "m", add)
    assert _same(load_checkpoint(tmp_path / "m").params, made.params)


def _drop(name):
    return lambda tensors: tensors.pop(name)


def _put(name, value):
    return lambda tensors: tensors.update({name: value})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_drop("model.norm.weight"), ["missing tensors: model.norm.weight [8]"]),
        (_drop("lm_head.weight"), ["lm_head.weight [20, 8]", "tie_word_embeddings"]),
        (_put("model.extra.weight", np.ones(3, np.float32)), ["unexpected", "model.extra.weight"]),
        (
            _put("model.norm.weight", np.ones(9, np.float32)),
            ["model.norm.weight: expected [8], found [9]"],
        ),
        (_put("model.norm.weight", np.ones(8, np.int8)), ["model.norm.weight: I8", "F32"]),
    ],
)
def test_tensors_that_do_not_fit_are_named_before_any_is_read(saved, change, words):
    _rewrite(saved, change)
    with pytest.raises(ValueError) as error:
        open_checkpoint(saved)
    for word in [*words, str(saved)]:
        assert word in str(error.value)


def test_pickle_checkpoints_are_refused(saved):
    (saved / "model.safetensors").rename(saved / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"pytorch_model.bin is a pickle.*save_pretrained"):
        load_checkpoint(saved)


@pytest.mark.parametrize("method", ["gptq", "awq", "fp8", "bitsandbytes"])
def test_quantized_checkpoints_are_refused(saved, method):
    _reconfigure(saved, quantization_config={"quant_method": method})
    with pytest.raises(ValueError, match=f"{method}.*unquantized"):
        load_checkpoint(saved)


def test_gguf_is_refused(tmp_path):
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    for path in (tmp_path, tmp_path / "m.gguf"):
        with pytest.raises(ValueError, match="safetensors"):
            load_checkpoint(path)


def test_unknown_architectures_are_refused_with_the_path(saved):
    _reconfigure(saved, model_type="falcon")
    with pytest.raises(ValueError, match=f"cannot load {saved}.*falcon.*Supported"):
        load_checkpoint(saved)


def test_missing_pieces_are_named(saved, tmp_path):
    with pytest.raises(ValueError, match="no directory"):
        load_checkpoint(tmp_path / "nowhere")
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    with pytest.raises(ValueError, match="load_adapter"):
        load_checkpoint(tmp_path / "adapter")
    (saved / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"neither model\.safetensors nor"):
        load_checkpoint(saved)
    (saved / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config.json is not valid JSON"):
        load_checkpoint(saved)
    (saved / "config.json").unlink()
    with pytest.raises(ValueError, match=r"no config\.json"):
        load_checkpoint(saved)


def test_a_missing_shard_is_named(tmp_path):
    save_checkpoint(tmp_path / "m", _make(), max_shard_bytes=3000)
    shard = sorted((tmp_path / "m").glob("*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(ValueError, match=shard.name):
        load_checkpoint(tmp_path / "m")


def test_an_index_may_not_point_outside(tmp_path):
    save_checkpoint(tmp_path / "m", _make(), max_shard_bytes=3000)
    index = tmp_path / "m" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"model.norm.weight": "../m.safetensors"}}))
    with pytest.raises(ValueError, match=r"\.\./m.safetensors"):
        load_checkpoint(tmp_path / "m")


@pytest.mark.parametrize("keep", [4, 100, -10])
def test_files_cut_short_are_refused(saved, keep):
    file = saved / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ValueError, match="cut short"):
        load_checkpoint(saved)


def test_saving_is_all_or_nothing(saved):
    before = {file.name: file.read_bytes() for file in saved.iterdir()}

    def fail(spec):
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_checkpoint(saved, RAW, fail, lambda spec: np.dtype(np.float32))
    assert {file.name: file.read_bytes() for file in saved.iterdir()} == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_saving_replaces_a_checkpoint_but_nothing_else(saved, tmp_path):
    save_checkpoint(saved, _make(hidden_size=16))
    assert load_checkpoint(saved).config.hidden_size == 16
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("dear diary")
    with pytest.raises(ValueError, match="is no checkpoint"):
        save_checkpoint(tmp_path / "notes", _make())
    assert (tmp_path / "notes" / "diary.txt").is_file()


def test_params_of_another_config_are_not_saved(tmp_path):
    made = _make()
    wrong = dataclasses.replace(made, raw_config=RAW | {"num_hidden_layers": 3})
    with pytest.raises(ValueError, match="layers_2"):
        save_checkpoint(tmp_path / "m", wrong)
    wrong = dataclasses.replace(made, raw_config=RAW | {"vocab_size": 21})
    with pytest.raises(ValueError, match="embed_tokens"):
        save_checkpoint(tmp_path / "m", wrong)
    assert not (tmp_path / "m").exists()


def test_leaves_the_config_does_not_know_are_not_dropped(tmp_path):
    made = _make()
    tied = dataclasses.replace(made, raw_config=RAW | {"tie_word_embeddings": True})
    with pytest.raises(ValueError, match="lm_head"):
        save_checkpoint(tmp_path / "m", tied)


def test_a_head_of_its_own_under_a_tied_config_is_used(tmp_path):
    # As transformers 5 does, whatever the config says
    save_checkpoint(tmp_path / "m", _make())
    _reconfigure(tmp_path / "m", tie_word_embeddings=True)
    loaded = load_checkpoint(tmp_path / "m")
    assert not loaded.config.tie_embeddings
    assert _same(loaded.params, _make().params)
    save_checkpoint(tmp_path / "again", loaded)
    assert json.loads((tmp_path / "again" / "config.json").read_text())["tie_word_embeddings"] is (
        False
    )
    assert _same(load_checkpoint(tmp_path / "again").params, loaded.params)
    small = load_quantized(tmp_path / "m", jnp.float32)
    np.testing.assert_array_equal(small["lm_head"]["kernel"], loaded.params["lm_head"]["kernel"])


@pytest.mark.parametrize("wider", [False, True])
def test_a_head_that_equals_the_embedding_leaves_a_model_tied(wider, tmp_path):
    made = _make(jnp.bfloat16, tie_word_embeddings=True)
    save_checkpoint(tmp_path / "m", made)
    table = np.asarray(made.params["embed_tokens"]["embedding"])
    copy = table.astype(np.float32) if wider else table
    _rewrite(tmp_path / "m", _put("lm_head.weight", copy))
    loaded = load_checkpoint(tmp_path / "m")
    assert loaded.config.tie_embeddings and _same(loaded.params, made.params)


def test_a_head_that_differs_in_one_number_is_its_own(tmp_path):
    made = _make(tie_word_embeddings=True)
    save_checkpoint(tmp_path / "m", made)
    other = np.array(made.params["embed_tokens"]["embedding"])
    other[-1, -1] += 1
    _rewrite(tmp_path / "m", _put("lm_head.weight", other))
    assert not open_checkpoint(tmp_path / "m").config.tie_embeddings
    np.testing.assert_array_equal(
        load_checkpoint(tmp_path / "m").params["lm_head"]["kernel"], other
    )


def test_a_tied_head_that_stands_alone_is_the_embedding(tmp_path):
    made = _make(tie_word_embeddings=True)
    save_checkpoint(tmp_path / "m", made)

    def rename(tensors):
        tensors["lm_head.weight"] = tensors.pop("model.embed_tokens.weight")

    _rewrite(tmp_path / "m", rename)
    assert _same(load_checkpoint(tmp_path / "m").params, made.params)


def test_a_tied_head_of_another_shape_is_refused(tmp_path):
    save_checkpoint(tmp_path / "m", _make(tie_word_embeddings=True))
    _rewrite(tmp_path / "m", _put("lm_head.weight", np.zeros((21, 8), np.float32)))
    with pytest.raises(ValueError, match=r"lm_head.weight: expected \[20, 8\], found \[21, 8\]"):
        open_checkpoint(tmp_path / "m")
