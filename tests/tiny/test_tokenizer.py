"""The tokenizers that ship are those that the recipe makes."""

import json

import pytest

from moco_jax.tiny.build import VOCABULARY
from moco_jax.tiny.registry import tiny_pool_path
from moco_jax.tiny.tokenizer import build_tokenizer


@pytest.mark.parametrize(("kind", "member"), [("phrases", "base"), ("everything", "bpe")])
def test_the_shipped_tokenizer_is_made_again(kind, member, tmp_path):
    build_tokenizer(kind, tmp_path, VOCABULARY[kind])
    made = json.loads((tmp_path / "tokenizer.json").read_text())
    shipped = json.loads((tiny_pool_path(member) / "tokenizer.json").read_text())
    assert made["model"] == shipped["model"]
    assert made["pre_tokenizer"] == shipped["pre_tokenizer"]
