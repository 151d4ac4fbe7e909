"""The tokenizers that ship are those that the recipe makes."""

import json

import pytest

from moco_jax.models.tokenizer import load_tokenizer
from moco_jax.tiny.build import VOCABULARY
from moco_jax.tiny.registry import tiny_pool_path
from moco_jax.tiny.speech import stated
from moco_jax.tiny.tokenizer import build_tokenizer


@pytest.mark.parametrize(("kind", "member"), [("phrases", "base"), ("everything", "bpe")])
def test_the_shipped_tokenizer_is_made_again(kind, member, tmp_path):
    build_tokenizer(kind, tmp_path, VOCABULARY[kind])
    made = json.loads((tmp_path / "tokenizer.json").read_text())
    shipped = json.loads((tiny_pool_path(member) / "tokenizer.json").read_text())
    assert made["model"] == shipped["model"]
    assert made["pre_tokenizer"] == shipped["pre_tokenizer"]


@pytest.mark.parametrize("kind", VOCABULARY)
def test_every_word_of_an_answer_begins_a_token(kind, tmp_path):
    build_tokenizer(kind, tmp_path, VOCABULARY[kind])
    tokenizer = load_tokenizer(tmp_path)
    for answer in ("42", "KTRLM", "bolan"):
        encoded = tokenizer(stated(answer), add_special_tokens=False, return_offsets_mapping=True)
        starts = {start for start, _ in encoded["offset_mapping"]}
        text = stated(answer)
        assert {0, *(place for place, sign in enumerate(text) if sign == " ")} <= starts
