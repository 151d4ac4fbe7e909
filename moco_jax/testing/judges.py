"""Random tiny models that judge, for tests of tasks that a model judges."""

import dataclasses
import json
import pathlib

import jax
import numpy as np
from safetensors.numpy import save_file

from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import init_params
from moco_jax.models.encoder import Encoder, EncoderConfig, SentenceEncoder, disk_tensors
from moco_jax.models.identity import fingerprint
from moco_jax.models.tokenizer import tokenizer_fingerprint
from moco_jax.pool import Member
from moco_jax.testing.members import dummy_member, dummy_tokenizer


def dummy_reward_model(seed: int = 0, name: str = "dummy:reward") -> Member:
    """A random Llama of one layer with a score head of one label.

    Args:
        seed: of its weights.
        name: how to call it.
    """
    speaker = dummy_member(name, seed)
    raw_config = {
        **speaker.info.raw_config,
        "architectures": ["LlamaForSequenceClassification"],
        "id2label": {"0": "LABEL_0"},
    }
    config = ModelConfig.from_hf(raw_config)
    params = init_params(config, jax.random.key(seed))
    # Weights of 0.02 would give every text about the same reward
    params = jax.tree.map(lambda leaf: 20 * leaf if leaf.ndim > 1 else leaf, params)
    info = dataclasses.replace(speaker.info, config=config, raw_config=raw_config)
    text_rules = tokenizer_fingerprint(info.tokenizer)
    return Member(info, params, fingerprint(params, config, text_rules))


def dummy_encoder(seed: int = 0) -> SentenceEncoder:
    """A random RoBERTa of one layer that reads bytes.

    Args:
        seed: of its weights.
    """
    tokenizer = dummy_tokenizer()
    config = EncoderConfig.from_hf(_encoder_config(len(tokenizer)))
    shape = np.zeros((1, 1), np.int32)
    params = Encoder(config).init(jax.random.key(seed), shape, shape > 0)["params"]
    return SentenceEncoder(config, params, tokenizer)


def save_encoder(encoder: SentenceEncoder, directory: pathlib.Path) -> None:
    """Writes a dummy encoder as a directory that `load_encoder` loads."""
    directory.mkdir(parents=True, exist_ok=True)
    record = _encoder_config(encoder.config.vocab_size)
    (directory / "config.json").write_text(json.dumps(record))
    encoder.tokenizer.save_pretrained(directory)
    save_file(disk_tensors(encoder.params), directory / "model.safetensors")


def _encoder_config(vocab_size: int) -> dict[str, object]:
    return {
        "model_type": "roberta",
        "architectures": ["RobertaModel"],
        "vocab_size": vocab_size,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 130,
        "pad_token_id": 1,
        "type_vocab_size": 1,
    }
