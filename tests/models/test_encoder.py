"""The sentence encoder on a tiny random checkpoint in several spellings."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tokenizers
import transformers
from flax import traverse_util
from safetensors.numpy import load_file, save_file

from moco_jax.models import encoder
from moco_jax.models.encoder import EncoderConfig, embed, encode, load_encoder

RAW = {
    "model_type": "bert",
    "vocab_size": 11,
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 20,
}
WORDS = ["[PAD]", "[UNK]", *"abcdefghi"]


def random_params(config, seed=0):
    tokens = jnp.zeros((1, 1), jnp.int32)
    params = encoder.Encoder(config).init(jax.random.key(seed), tokens, tokens == 0)["params"]
    return jax.tree.map(
        lambda x: x + 0.1 * jax.random.normal(jax.random.key(x.size), x.shape), params
    )


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A BERT on disk, in the names of the Hugging Face format."""
    path = tmp_path_factory.mktemp("bert")
    (path / "config.json").write_text(json.dumps(RAW))
    flat = traverse_util.flatten_dict(random_params(EncoderConfig.from_hf(RAW)))
    tensors = {
        encoder._disk_name(name): np.ascontiguousarray(leaf.T if name[-1] == "kernel" else leaf)
        for name, leaf in flat.items()
    }
    save_file(tensors, path / "model.safetensors")
    core = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    core.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=core, pad_token="[PAD]").save_pretrained(
        path
    )
    return path


@pytest.fixture(scope="module")
def bert(directory):
    return load_encoder(directory)


def test_texts_become_unit_vectors_in_their_order(bert):
    texts = ["a b c", "d", "a b c d e f g h i " * 4, "a b c"]
    vectors = bert(texts, batch_size=2)
    assert vectors.shape == (4, 8)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(vectors[0], vectors[3], rtol=1e-5)
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_allclose(bert([text])[0], vector, rtol=1e-4, atol=1e-5)
    assert bert([]).shape == (0, 8)


def test_mean_is_over_real_tokens_only(bert):
    tokens = jnp.array([[2, 3, 4, 0, 0]])
    mask = jnp.array([[True, True, True, False, False]])
    hidden = encode(bert.config, bert.params, tokens[:, :3], mask[:, :3])
    vector = embed(bert.config, bert.params, tokens, mask, normalize=False)
    np.testing.assert_allclose(vector, hidden.mean(axis=1), rtol=1e-5, atol=1e-6)
    empty = embed(bert.config, bert.params, tokens, jnp.zeros_like(mask))
    np.testing.assert_array_equal(empty, np.zeros((1, 8)))


def test_prefixed_and_old_tensor_names_load(directory, bert, tmp_path):
    for file in directory.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    tensors = {}
    for name, array in load_file(directory / "model.safetensors").items():
        for new, older in old.items():
            name = name.replace(new, older)
        tensors[f"bert.{name}"] = array
    tensors["cls.predictions.bias"] = np.zeros(3, np.float32)
    save_file(tensors, tmp_path / "model.safetensors")
    jax.tree.map(np.testing.assert_array_equal, load_encoder(tmp_path).params, bert.params)


def test_dtype_of_the_params_is_chosen_and_vectors_stay_f32(directory, bert):
    half = load_encoder(directory, jnp.bfloat16)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(half.params)} == {"bfloat16"}
    vectors = half(["a b"])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, bert(["a b"]), atol=0.05)


def test_roberta_counts_positions_behind_the_padding_id():
    raw = {**RAW, "model_type": "roberta", "pad_token_id": 1}
    config = EncoderConfig.from_hf(raw)
    assert (config.first_position, config.max_positions) == (2, 18)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "mpnet"}, "'mpnet' is no text encoder we know"),
        ({"position_embedding_type": "relative_key"}, "'relative_key'"),
        ({"is_decoder": True}, "is_decoder True"),
        ({"hidden_act": "mish"}, "'mish'"),
    ],
)
def test_other_encoders_are_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        EncoderConfig.from_hf({**RAW, **change})


def test_tensors_that_do_not_fit_are_named(directory, bert):
    deeper = dataclasses.replace(bert.config, num_layers=3)
    with pytest.raises(ValueError, match=r"encoder\.layer\.2\..* found nothing"):
        encoder._read_params(deeper, directory, None)
    wider = dataclasses.replace(bert.config, vocab_size=12)
    with pytest.raises(ValueError, match=r"should be \[12, 8\] .* found F32 \[11, 8\]"):
        encoder._read_params(wider, directory, None)
