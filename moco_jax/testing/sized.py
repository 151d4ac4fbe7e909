"""Random members of real sizes whose prompts have an exact number of tokens, for benchmarks."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import init_params
from moco_jax.pool import Member, MemberInfo

TEMPLATE = "{% for message in messages %}{{ message['content'] }} {% endfor %}"


@dataclasses.dataclass(frozen=True)
class Size:
    """The shape of a Qwen2 with tied embeddings and heads of 64, four queries to a key.

    Attributes:
        layers: how many.
        hidden_size: D, a multiple of 256.
        vocab_size: V.
        max_positions: its context.
    """

    layers: int
    hidden_size: int
    vocab_size: int = 32_000
    max_positions: int = 8192


SIZES = {
    "tiny": Size(2, 256, 512),
    "10M": Size(8, 256, 8_000),
    "50M": Size(12, 512),
    "500M": Size(24, 1280),
}
"""Sizes by what they are called; the names tell how many parameters there are, roughly."""


def word_tokenizer(vocab_size: int) -> Any:
    """A `transformers` tokenizer of the words `w0`, `w1`, ..., one token each, and no end."""
    return _word_tokenizer(vocab_size)


@functools.lru_cache(maxsize=8)
def _word_tokenizer(vocab_size: int) -> Any:
    import tokenizers
    from tokenizers import models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {f"w{index}": index for index in range(vocab_size)}
    core = tokenizers.Tokenizer(models.WordLevel(words, unk_token="w0"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core)
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def word_prompts(vocab_size: int, count: int, length: int, seed: int = 0) -> list[str]:
    """Random texts of `length` tokens each for `word_tokenizer(vocab_size)`."""
    drawn = np.random.default_rng(seed).integers(0, vocab_size, (count, length))
    return [" ".join(f"w{token}" for token in row) for row in drawn]


def sized_member(size: Size, name: str = "random", seed: int = 0) -> Member:
    """A random member that never ends an answer by itself.

    Args:
        size: its shape.
        name: how to call it.
        seed: of its weights.
    """
    heads = size.hidden_size // 64
    raw_config = {
        "model_type": "qwen2",
        "architectures": ["Qwen2ForCausalLM"],
        "vocab_size": size.vocab_size,
        "hidden_size": size.hidden_size,
        "intermediate_size": size.hidden_size * 11 // 4,
        "num_hidden_layers": size.layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads // 4,
        "max_position_embeddings": size.max_positions,
        "tie_word_embeddings": True,
    }
    config = ModelConfig.from_hf(raw_config)
    info = MemberInfo(
        name=name,
        path="",
        adapter=None,
        config=config,
        raw_config=raw_config,
        generation_config={},
        tokenizer=word_tokenizer(size.vocab_size),
    )
    # Hashing gigabytes would take long, and size and seed say it all
    return Member(info, init_params(config, jax.random.key(seed)), f"random {size} {seed}")
