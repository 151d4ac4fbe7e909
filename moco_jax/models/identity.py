"""The identity of a model: a hash of what it is, and what all its random draws follow from.

It is made of content and of words that stand here or beside what they describe, never of class or
field names, so that no renaming changes a draw.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from flax import traverse_util

from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import Params
from moco_jax.models.encoder import EncoderConfig
from moco_jax.models.families import disk_name
from moco_jax.models.lora import Adapter
from moco_jax.models.lora_config import module_name

VERSION = 2
"""Raise it when the same tensors, architecture and tokenizer may get another identity."""


def fingerprint(params: Params, config: ModelConfig | EncoderConfig, text_rules: str) -> str:
    """Hash (hex) of a model.

    Args:
        params: the tensors; their values, types, shapes and names on disk count.
        config: the architecture.
        text_rules: hash of the tokenizer.
    """
    total = hashlib.blake2b(digest_size=32)
    total.update(json.dumps([VERSION, config.content(), text_rules]).encode())
    leaves = traverse_util.flatten_dict(params)
    heads = [(disk_name(path), str(leaf.dtype), leaf.shape, path) for path, leaf in leaves.items()]
    for name, dtype, shape, path in sorted(heads):
        total.update(f"{name} {dtype} {list(shape)}".encode())
        total.update(_bytes(leaves[path]))
    return total.hexdigest()


def adapted_identity(base: str, adapter: Adapter, text_rules: str) -> str:
    """Hash (hex) of a model that is an adapter over a base.

    Args:
        base: identity of the base.
        adapter: its factors, and the scales of their products, count.
        text_rules: hash of the adapted model's tokenizer.
    """
    total = hashlib.blake2b(digest_size=32)
    total.update(json.dumps([VERSION, "adapter", base, text_rules]).encode())
    for module, factor in sorted(adapter.factors.items()):
        total.update(f"{module_name(module)} {float(adapter.config.scale(module))!r}".encode())
        for side in (factor["a"], factor["b"]):
            total.update(f"{side.dtype} {list(side.shape)}".encode())
            total.update(_bytes(side))
    return total.hexdigest()


def with_ends(content: str, eos: Sequence[int]) -> str:
    """Hash (hex) of a model together with where its answers end, of which no draw follows.

    Args:
        content: from `fingerprint` or `adapted_identity`.
        eos: ids that end an answer.
    """
    parts = [content, sorted(eos)]
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=32).hexdigest()


def _bytes(leaf: jax.Array | np.ndarray) -> Any:
    return np.ascontiguousarray(np.asarray(leaf)).view(np.uint8).data
