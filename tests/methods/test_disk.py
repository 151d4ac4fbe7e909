"""Merging from disk to disk: the same tensors as in memory, whatever the pieces."""

import json

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from moco_jax import testing
from moco_jax.methods.weight import pieces
from moco_jax.methods.weight.disk import merge_checkpoints
from moco_jax.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import init_params
from moco_jax.trees import (
    TASK_VECTOR_MERGES,
    Karcher,
    Layerwise,
    ModelStock,
    Slerp,
    TaskVectorMerge,
    merge_trees,
    ranks,
)

RAW = {
    "model_type": "qwen2",
    "vocab_size": 300,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}
L1 = TaskVectorMerge("random", density=0.5, rescale="l1", elect=True)
RULES = {**TASK_VECTOR_MERGES, "l1": L1, "slerp": Slerp(0.3), "karcher": Karcher()}
RULES |= {"model_stock": ModelStock()}
RULES |= {"layers": Layerwise(Slerp(), "t", (0.1, 0.9), 0.5, 2)}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Three models and their base on disk, the last model in bfloat16."""
    folder = tmp_path_factory.mktemp("models")
    config = ModelConfig.from_hf(RAW)
    base = init_params(config, jax.random.key(0))
    for index in range(4):
        noise = init_params(config, jax.random.key(index))
        params = jax.tree.map(lambda x, n: x + 0.1 * n, base, noise) if index else base
        dtype = jnp.bfloat16 if index == 3 else None
        save_checkpoint(folder / str(index), Checkpoint(config, params, RAW), dtype=dtype)
    testing.dummy_tokenizer().save_pretrained(folder / "1")
    return folder


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", 4096)
    monkeypatch.setattr(ranks, "PIECE", 1000)
    monkeypatch.setattr(ranks, "_SAMPLE", 512)
    monkeypatch.setattr(ranks, "_CHUNK", 64)


def paths(saved, rule):
    count = 2 if isinstance(rule, Slerp | Layerwise) else 3
    return [saved / str(index) for index in range(1, count + 1)]


@pytest.mark.parametrize("name", RULES)
def test_gives_what_merging_in_memory_gives(name, saved, small_pieces, tmp_path):
    rule = RULES[name]
    sources = paths(saved, rule)
    merge_checkpoints(sources, saved / "0", rule, tmp_path / "out", seed=5)
    trees = [load_checkpoint(source, jnp.float32).params for source in sources]
    base = load_checkpoint(saved / "0").params
    wanted = merge_trees(rule, trees, base, jax.random.key(5))
    got = load_checkpoint(tmp_path / "out").params
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    for ours, theirs in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_a_function_of_ones_own_sees_leaves_as_params_hold_them(saved, tmp_path):
    def first_rows(leaf, base, key):
        return jnp.broadcast_to(leaf[0, :1], leaf.shape[1:]) + 0 * base

    merge_checkpoints(paths(saved, None), saved / "0", first_rows, tmp_path / "out")
    kernel = load_checkpoint(tmp_path / "out").params["layers_0"]["mlp"]["up_proj"]["kernel"]
    first = load_checkpoint(saved / "1").params["layers_0"]["mlp"]["up_proj"]["kernel"]
    np.testing.assert_array_equal(kernel, np.tile(first[:1], (len(first), 1)))


@pytest.mark.parametrize("index", ["1", "3"])
def test_the_identity_is_bit_exact_and_brings_all_files(index, saved, tmp_path):
    source = saved / index
    merge_checkpoints([source] * 3, None, TASK_VECTOR_MERGES["average"], tmp_path / "out")
    theirs = safetensors.numpy.load_file(source / "model.safetensors")
    ours = safetensors.numpy.load_file(tmp_path / "out" / "model.safetensors")
    assert set(ours) == set(theirs)
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype
        assert ours[name].tobytes() == tensor.tobytes()
    files = {file.name for file in source.iterdir()}
    assert files <= {file.name for file in (tmp_path / "out").iterdir()}
    written = json.loads((tmp_path / "out" / "config.json").read_text())
    assert RAW.items() <= written.items()


def test_dtype_and_shards(saved, tmp_path):
    merge_checkpoints(
        paths(saved, None),
        None,
        TASK_VECTOR_MERGES["average"],
        tmp_path / "out",
        dtype=ml_dtypes.bfloat16,
        max_shard_bytes=20_000,
    )
    assert len(list((tmp_path / "out").glob("*.safetensors"))) > 1
    leaves = jax.tree.leaves(load_checkpoint(tmp_path / "out").params)
    assert all(leaf.dtype == jnp.bfloat16 for leaf in leaves)


def test_other_architectures_are_refused_by_name(saved, tmp_path):
    config = ModelConfig.from_hf(raw := RAW | {"hidden_size": 32})
    wide = Checkpoint(config, init_params(config, jax.random.key(0)), raw)
    save_checkpoint(tmp_path / "wide", wide)
    average = TASK_VECTOR_MERGES["average"]
    with pytest.raises(ValueError, match=r"wide with .*1: hidden_size is 32 .* 24"):
        merge_checkpoints([saved / "1", tmp_path / "wide"], None, average, tmp_path / "out")
    with pytest.raises(ValueError, match="name the base"):
        merge_checkpoints([saved / "1"], None, TASK_VECTOR_MERGES["ties"], tmp_path / "out")
    with pytest.raises(ValueError, match="no checkpoints"):
        merge_checkpoints([], None, average, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("rank", [1, 7, 20_000, 99_999, 100_000])
def test_ranks_of_many_pieces_are_exact(rank, small_pieces):
    rng = np.random.default_rng(rank)
    # Sorted in part, so that a sample of chunks misleads
    values = np.abs(rng.normal(size=(2, 100_000))).astype(np.float32)
    values[1] = np.sort(values[1])
    values[0, :50_000] = 0.5
    found = ranks.largest_magnitudes(lambda a, b: values[:, a:b], 100_000, (rank,))
    np.testing.assert_array_equal(found[:, 0], np.sort(values, axis=1)[:, -rank])
