"""The text encoder for sentence embeddings: BERT (Devlin et al., arXiv 1810.04805) and RoBERTa.

B texts, S tokens, D hidden size, N heads.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from moco_jax.models import checkpoint_files, safetensors_io
from moco_jax.models.checkpoint_files import PathLike
from moco_jax.models.decoder import ACTIVATIONS, Params
from moco_jax.models.tokenizer import load_tokenizer
from moco_jax.models.vocabulary import check_ids

_ROBERTA = ("roberta", "xlm-roberta")
_DISK_NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
    "output_norm": "output.LayerNorm",
}
_LEAVES = {"kernel": "weight", "embedding": "weight", "scale": "weight", "bias": "bias"}
# What the oldest checkpoints call the two leaves of a norm
_OLD_LEAVES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
_SHORTEST = 16


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
    """The static description of one encoder: hashable, so it can be a static jit argument.

    Attributes:
        first_position: row of the position table for a text's first token.
        max_positions: longest text, in tokens.
        type_vocab_size: rows of the segment table; every token is in segment 0.
    """

    vocab_size: int = 30_522
    hidden_size: int = 768
    intermediate_size: int = 3072
    num_layers: int = 12
    num_heads: int = 12
    max_positions: int = 512
    first_position: int = 0
    type_vocab_size: int = 2
    norm_eps: float = 1e-12
    activation: str = "gelu"

    def content(self) -> list[Any]:
        """What sets it apart, for hashes; see `ModelConfig.content`."""
        sizes = [self.vocab_size, self.hidden_size, self.intermediate_size, self.num_layers]
        positions = [self.max_positions, self.first_position, self.type_vocab_size]
        return ["encoder", sizes, self.num_heads, positions, self.norm_eps, self.activation]

    @classmethod
    def from_hf(cls, raw: Mapping[str, Any]) -> "EncoderConfig":
        """Reads a parsed config.json.

        Raises:
            ValueError: it is another architecture, or a variant that is not supported.
        """
        kind = raw.get("model_type")
        if kind not in ("bert", *_ROBERTA):
            raise ValueError(
                f"model_type {kind!r} is no text encoder we know; supported are bert, "
                f"{', '.join(_ROBERTA)}. Use a sentence encoder of one of these."
            )
        form = raw.get("position_embedding_type") or "absolute"
        activation = raw.get("hidden_act", "gelu")
        if form != "absolute" or raw.get("is_decoder") or activation not in ACTIVATIONS:
            raise ValueError(
                f"a {kind} with position_embedding_type {form!r}, is_decoder "
                f"{bool(raw.get('is_decoder'))} and hidden_act {activation!r} is not supported: "
                f"positions must be absolute, attention mutual, hidden_act one of "
                f"{', '.join(ACTIVATIONS)}."
            )
        # RoBERTa counts positions from behind the padding token's id
        first = raw.get("pad_token_id", 1) + 1 if kind in _ROBERTA else 0
        return cls(
            vocab_size=raw.get("vocab_size", 50_265 if kind in _ROBERTA else 30_522),
            hidden_size=raw.get("hidden_size", 768),
            intermediate_size=raw.get("intermediate_size", 3072),
            num_layers=raw.get("num_hidden_layers", 12),
            num_heads=raw.get("num_attention_heads", 12),
            max_positions=raw.get("max_position_embeddings", 512) - first,
            first_position=first,
            type_vocab_size=raw.get("type_vocab_size", 2),
            norm_eps=float(raw.get("layer_norm_eps", 1e-12)),
            activation=activation,
        )


@functools.partial(jax.jit, static_argnames=("config", "normalize"))
def embed(
    config: EncoderConfig,
    params: Params,
    tokens: jax.Array,
    mask: jax.Array,
    normalize: bool = True,
) -> jax.Array:
    """Sentence embeddings: the mean of a text's hidden states (Reimers and Gurevych, 1908.10084).

    Args:
        config: the encoder.
        params: its parameters.
        tokens: i32[B, S].
        mask: bool[B, S], False on padding.
        normalize: scale to unit length, so that a dot product is the cosine similarity.

    Returns:
        f32[B, D]; zeros for a text without tokens.
    """
    hidden = encode(config, params, tokens, mask).astype(jnp.float32)
    weights = mask[..., None].astype(jnp.float32)
    mean = (hidden * weights).sum(axis=1) / jnp.maximum(weights.sum(axis=1), 1.0)
    if not normalize:
        return mean
    return mean / jnp.maximum(jnp.linalg.norm(mean, axis=-1, keepdims=True), 1e-12)


def encode(config: EncoderConfig, params: Params, tokens: jax.Array, mask: jax.Array) -> jax.Array:
    """Hidden states [B, S, D] of tokens i32[B, S]; where mask bool[B, S] is False, meaningless."""
    hidden: Any = Encoder(config).apply({"params": params}, tokens, mask)
    return hidden


class Encoder(nn.Module):
    """Embeddings and layers, every token seeing every other; see `encode`."""

    config: EncoderConfig

    @nn.compact
    def __call__(self, tokens: jax.Array, mask: jax.Array) -> jax.Array:
        """Maps tokens i32[B, S] and mask bool[B, S] to hidden states [B, S, D]."""
        config = self.config
        places = jnp.maximum(jnp.cumsum(mask, axis=1) - 1, 0) + config.first_position

        def table(name: str, rows: int) -> nn.Embed:
            return nn.Embed(rows, config.hidden_size, name=name)

        hidden = table("word_embeddings", config.vocab_size)(tokens)
        rows = config.max_positions + config.first_position
        hidden += table("position_embeddings", rows)(places)
        segments = jnp.zeros_like(tokens)
        hidden += table("token_type_embeddings", config.type_vocab_size)(segments)
        hidden = _norm(config, "embedding_norm")(hidden)
        for layer in range(config.num_layers):
            hidden = EncoderLayer(config, name=f"layer_{layer}")(hidden, mask)
        return hidden


class EncoderLayer(nn.Module):
    """Attention and MLP, each added to its input and then normed."""

    config: EncoderConfig

    @nn.compact
    def __call__(self, hidden: jax.Array, mask: jax.Array) -> jax.Array:
        """Maps hidden [B, S, D] to the same shape; mask is bool[B, S]."""
        config = self.config
        size = config.hidden_size
        heads = (*hidden.shape[:2], config.num_heads, size // config.num_heads)
        query, key, value = (
            nn.Dense(size, name=name)(hidden).reshape(heads) for name in ("query", "key", "value")
        )
        mixed = jax.nn.dot_product_attention(query, key, value, mask=mask[:, None, None, :])
        mixed = nn.Dense(size, name="attention_output")(mixed.reshape(hidden.shape))
        hidden = _norm(config, "attention_norm")(hidden + mixed)
        inner = nn.Dense(config.intermediate_size, name="intermediate")(hidden)
        inner = nn.Dense(size, name="output")(ACTIVATIONS[config.activation](inner))
        return _norm(config, "output_norm")(hidden + inner)


def _norm(config: EncoderConfig, name: str) -> nn.LayerNorm:
    return nn.LayerNorm(config.norm_eps, use_fast_variance=False, name=name)


@dataclasses.dataclass(frozen=True, eq=False)
class SentenceEncoder:
    """An encoder with its tokenizer.

    Attributes:
        config: what it is.
        params: its weights on device.
        tokenizer: a `transformers` tokenizer.
    """

    config: EncoderConfig
    params: Params = dataclasses.field(repr=False)
    tokenizer: Any = dataclasses.field(repr=False)

    def __call__(
        self, texts: Sequence[str], normalize: bool = True, batch_size: int = 32
    ) -> np.ndarray:
        """Embeddings f32[len(texts), D]; a text beyond the encoder's length is cut at its end.

        Args:
            texts: what to embed.
            normalize: as in `embed`.
            batch_size: texts per device call; a batch is as wide as its longest text needs.
        """
        limit = self.config.max_positions
        out = np.zeros((len(texts), self.config.hidden_size), np.float32)
        if not texts:
            return out
        encoded = self.tokenizer(list(texts), truncation=True, max_length=limit)["input_ids"]
        for ids in encoded:
            check_ids(ids, self.config.vocab_size, self.tokenizer, "a text for the encoder")
        # Texts of like length share a batch, and widths are powers of two, so little is padded
        # and few programs are compiled
        order = sorted(range(len(encoded)), key=lambda index: len(encoded[index]))
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            longest = max(len(encoded[index]) for index in chosen)
            width = min(max(_SHORTEST, 1 << (longest - 1).bit_length()), limit)
            tokens = np.zeros((batch_size, width), np.int32)
            mask = np.zeros((batch_size, width), bool)
            for row, index in enumerate(chosen):
                tokens[row, : len(encoded[index])] = encoded[index]
                mask[row, : len(encoded[index])] = True
            vectors = embed(self.config, self.params, tokens, mask, normalize)
            out[chosen] = np.asarray(vectors)[: len(chosen)]
        return out


def load_encoder(path_or_hub_id: PathLike, dtype: Any = None) -> SentenceEncoder:
    """Loads a BERT or RoBERTa checkpoint with its tokenizer; heads and poolers are left out.

    Args:
        path_or_hub_id: a directory with config.json, safetensors and tokenizer files, or a hub id.
        dtype: of the params; None leaves each tensor as it is on disk.

    Raises:
        ValueError: it is no such encoder, or tensors are missing or of the wrong shape.
    """
    directory = checkpoint_files.fetch(path_or_hub_id)
    config = EncoderConfig.from_hf(checkpoint_files.read_raw_config(directory))
    return SentenceEncoder(
        config, _read_params(config, directory, dtype), load_tokenizer(directory)
    )


def _read_params(config: EncoderConfig, directory: pathlib.Path, dtype: Any) -> Params:
    """Every parameter from disk, one tensor at a time."""
    headers = safetensors_io.read_headers(checkpoint_files.weight_files(directory))
    tensors = {_plain_name(name): tensor for name, tensor in headers.items()}
    tokens = jax.ShapeDtypeStruct((1, 1), jnp.int32)
    mask = jax.ShapeDtypeStruct((1, 1), jnp.bool_)
    shapes = jax.eval_shape(Encoder(config).init, jax.random.key(0), tokens, mask)["params"]
    read: dict[tuple[str, ...], jax.Array] = {}
    for path, leaf in traverse_util.flatten_dict(shapes).items():
        name, transposed = _disk_name(path), path[-1] == "kernel"
        wanted = leaf.shape[::-1] if transposed else leaf.shape
        tensor = tensors.get(name)
        if (
            tensor is None
            or tensor.shape != wanted
            or tensor.type_name not in safetensors_io.DTYPES
        ):
            found = f"{tensor.type_name} {list(tensor.shape)}" if tensor else "nothing"
            raise ValueError(
                f"{directory} is no valid encoder: {name} should be {list(wanted)} of f32, bf16 or "
                f"f16, found {found}. Check that config.json and the tensors belong together."
            )
        array = safetensors_io.read_tensor(tensor, transposed, np.dtype(dtype or tensor.dtype))
        read[path] = jnp.asarray(array)
    return traverse_util.unflatten_dict(read)


def disk_tensors(params: Params) -> dict[str, np.ndarray]:
    """Parameters as the tensors of a checkpoint, by their names on disk."""
    found = {}
    for path, leaf in traverse_util.flatten_dict(params).items():
        array = np.asarray(leaf)
        found[_disk_name(path)] = np.ascontiguousarray(array.T if path[-1] == "kernel" else array)
    return found


def _disk_name(path: tuple[str, ...]) -> str:
    """The Hugging Face name of a leaf, without the prefix that models with heads put before it."""
    *modules, leaf = path
    if len(modules) == 2:
        layer = modules[0].removeprefix("layer_")
        return f"encoder.layer.{layer}.{_DISK_NAMES[modules[1]]}.{_LEAVES[leaf]}"
    name = "LayerNorm" if modules[0] == "embedding_norm" else modules[0]
    return f"embeddings.{name}.{_LEAVES[leaf]}"


def _plain_name(name: str) -> str:
    name = name.removeprefix("bert.").removeprefix("roberta.")
    for old, new in _OLD_LEAVES.items():
        name = name.replace(old, new)
    return name
