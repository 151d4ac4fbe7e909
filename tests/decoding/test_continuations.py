"""Prompt and text as one text: tokenizers that add spaces or join at the seam, and long texts."""

import dataclasses

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from moco_jax.decoding.continuations import continuations, follow, replies
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.render import render
from moco_jax.decoding.types import Request, Sampling
from moco_jax.testing import dummy_member, dummy_pool
from moco_jax.testing.members import END, TEMPLATE

SIGNS = [chr(code) for code in range(33, 127)]
SPOKEN = "{{ bos_token }}{% for m in messages %}Q: {{ m.content }}\nA:{% endfor %}"


def sentencepiece(old, template=None):
    """As of Llama 2 (`old`) or of today: a space stands before every text that is encoded."""
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2}
    parts = [f"<0x{b:02X}>" for b in range(256)]
    for name in [*parts, "\u2581", *SIGNS, *("\u2581" + sign for sign in SIGNS)]:
        vocab.setdefault(name, len(vocab))
    merges = [("\u2581", sign) for sign in SIGNS]
    core = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", byte_fallback=True))
    if old:
        core.normalizer = normalizers.Sequence(
            [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
        )
    else:
        core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    core.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    tokenizer.chat_template = template
    return tokenizer


def merging(template=None):
    """One token per byte and a few that reach over a seam: "=4", " 4", "44"."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pairs = [("=", "4"), ("\u0120", "4"), ("4", "4")]
    words = [END, *letters, *(a + b for a, b in pairs)]
    core = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=pairs))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token=END)
    tokenizer.chat_template = template
    return tokenizer


MEMBERS = {
    "old base": dummy_member("old base", 0, tokenizer=sentencepiece(True)),
    "old chat": dummy_member("old chat", 0, tokenizer=sentencepiece(True, SPOKEN)),
    "new base": dummy_member("new base", 0, tokenizer=sentencepiece(False)),
    "new chat": dummy_member("new chat", 0, tokenizer=sentencepiece(False, SPOKEN)),
    "merging": dummy_member("merging", 0, tokenizer=merging()),
    "merging chat": dummy_member("merging chat", 0, tokenizer=merging(TEMPLATE)),
}
GREEDY = Sampling(temperature=0.0)


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("asked", ["2+2=", "2+2= ", "x", "say\n", "4"])
@pytest.mark.parametrize("text", ["4", " 4", "44 ", "no", "\n4"])
def test_prompt_and_text_are_encoded_as_one(name, asked, text):
    member, request = MEMBERS[name], Request.user(asked)
    head = member.template.text(request.messages)
    whole = member.template.encode(head + text)
    found = continuations(member, request, [text], GREEDY)
    alone = member.template.encode(head)
    seam = next((i for i, (a, b) in enumerate(zip(alone, whole)) if a != b), len(alone))  # noqa: B905
    if seam:
        assert [*found.prompt, *found.texts[0]] == whole
        assert len(found.prompt) == seam
    else:  # the first of all tokens would be another, and nothing stands before it
        assert found.prompt.tolist() == alone


@pytest.mark.parametrize("name", ["old base", "old chat", "new base", "new chat"])
def test_no_space_is_put_between(name):
    member = MEMBERS[name]
    found = continuations(member, Request.user("2+2="), ["4"], GREEDY)
    assert found.texts[0].tolist() == [member.tokenizer.convert_tokens_to_ids("4")]


def test_texts_that_are_compared_begin_at_one_place():
    member = MEMBERS["merging"]
    ids = member.tokenizer.convert_tokens_to_ids
    found = continuations(member, Request.user("2+2="), ["4", "5"], GREEDY)
    assert found.prompt.tolist() == ids(["2", "+", "2"])
    assert [text.tolist() for text in found.texts] == [[ids("=4")], ids(["=", "5"])]
    asked = replies(member, Request.user("2+2="), ["4", "5"], GREEDY)
    assert [text.tolist()[-1] for text in asked.texts] == [ids(END)] * 2


@pytest.mark.parametrize("name", ["old chat", "merging chat"])
def test_a_prompt_without_its_middle_goes_on_as_the_whole_one(name):
    member = MEMBERS[name]
    request = Request.user("a b " * 700 + "2+2=")
    cutting = dataclasses.replace(GREEDY, overflow="truncate", max_new_tokens=8)
    (tokens,) = render((member,), request, cutting).tokens
    found = continuations(member, request, ["4"], cutting)
    short = continuations(member, Request.user("2+2="), ["4"], GREEDY)
    assert found.texts[0].tolist() == short.texts[0].tolist()
    assert [*found.prompt.tolist(), *found.texts[0].tolist()][-4:] == [
        *short.prompt.tolist(),
        *short.texts[0].tolist(),
    ][-4:]
    assert abs(len(found.prompt) - len(tokens)) <= 1


def test_what_a_member_wrote_in_other_tokens_stays():
    member = MEMBERS["merging"]
    ids = member.tokenizer.convert_tokens_to_ids
    own = ids(["2", "4", "4"])  # it would be encoded as "2", "44"
    found = follow(member, "244", own, ["4"])
    assert found.prompt.tolist() == own
    assert found.texts[0].tolist() == [ids("4")]


def test_scores_respect_the_context():
    (member,) = dummy_pool(1)
    room = member.config.max_positions - len(member.template.render([("user", "")]))
    asks = [Request.user("a" * (room - spare)) for spare in (3, 2, 1, -500)]
    found = Engine().score([member] * 4, asks, ["ABC"] * 4)
    assert [one is None for one in found] == [False, True, True, True]
    assert len(found[0]) == 3
    chosen = Engine().choose([member] * 2, asks[:2], ["AB", "C"])
    assert [one is None for one in chosen] == [False, True]


def test_a_text_without_tokens_has_no_score():
    with pytest.raises(ValueError, match="'' has no tokens for dummy:0"):
        Engine().score(dummy_pool(1).members, [Request.user("a")], [""])


def test_scores_at_the_seam_are_those_of_the_whole_text():
    member = MEMBERS["old base"]
    whole = member.template.encode("2+2=4")
    (score,) = Engine().score([member], [Request.user("2+2=")], ["4"])
    (longer,) = Engine().score([member], [Request.user("2+2")], ["=4"])
    assert len(whole) == 5
    np.testing.assert_allclose(longer[1:], score, rtol=1e-5)
