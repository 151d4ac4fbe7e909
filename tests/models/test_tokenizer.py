"""Chat templates, ends of answers and shared vocabularies, on tokenizers made here."""

import dataclasses
import json

import pytest
import tokenizers
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import decoders, pre_tokenizers, processors, trainers

from moco_jax.models.tokenizer import (
    ChatTemplate,
    eos_ids,
    inside_thought,
    load_tokenizer,
    shared_vocabulary,
    split_reasoning,
    tokenizer_fingerprint,
)

LLAMA = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}" + LLAMA[15:]
)
DEAF = LLAMA.replace("{% for m in messages %}", "{% for m in messages if m.role != 'system' %}")
THINKER = LLAMA.replace(
    "<|assistant|>\n",
    "<|assistant|>\n{% if enable_thinking is defined %}{{ enable_thinking }}{% endif %}",
)
DATED = "{{ strftime_now('%d %b %Y') }} {{ strftime_now('%Y-%m-%d') }}" + LLAMA
SPECIALS = ["<pad>", "<s>", "</s>", "<|end|>"]


def make(template=None, specials=SPECIALS, bos=True, extra=()):
    """A byte-level BPE tokenizer that, like Llama's, begins every text with BOS."""
    core = tokenizers.Tokenizer(tokenizers.models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=list(specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(["the question is here and the answer is there " * 5], trainer)
    core.add_tokens(list(extra))
    if bos:
        core.post_processor = processors.TemplateProcessing(
            single=f"{specials[1]} $A", special_tokens=[(specials[1], 1)]
        )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token=specials[0], bos_token=specials[1], eos_token=specials[2]
    )
    tokenizer.chat_template = template
    return tokenizer


@dataclasses.dataclass(frozen=True)
class Said:
    role: str
    content: str


@pytest.fixture(scope="module")
def llama():
    return make(LLAMA)


def test_one_bos_where_template_and_tokenizer_both_write_it(llama):
    tokens = ChatTemplate(llama).render([("user", "the answer")])
    assert llama("x")["input_ids"][0] == llama.bos_token_id
    assert tokens.count(llama.bos_token_id) == 1
    assert tokens[0] == llama.bos_token_id
    assert tokens == llama.apply_chat_template(
        [{"role": "user", "content": "the answer"}], add_generation_prompt=True, return_dict=False
    )


def test_prefix_stands_raw_behind_the_generation_header(llama):
    messages = (Said("user", "q"), Said("assistant", "a"), Said("user", "r"))
    text = ChatTemplate(llama).text(messages, prefix="It is ")
    assert text.endswith("<|user|>\nr<|end|>\n<|assistant|>\nIt is ")
    assert llama.decode(ChatTemplate(llama).render(messages, prefix="It is ")) == text


def test_system_prompt_has_its_own_turn_where_there_is_one(llama):
    text = ChatTemplate(llama).text([("system", "be brief"), ("user", "q")])
    assert "<|system|>\nbe brief<|end|>\n<|user|>\nq<|end|>" in text


@pytest.mark.parametrize("template", [GEMMA, DEAF], ids=["refuses", "ignores"])
def test_system_prompt_moves_into_the_first_user_turn(template):
    chat = ChatTemplate(make(template))
    text = chat.text([("system", "be brief"), ("user", "q"), ("assistant", "a"), ("user", "r")])
    assert "<|user|>\nbe brief\n\nq<|end|>" in text
    assert "<|system|>" not in text
    assert "<|user|>\nbe brief<|end|>" in chat.text([("system", "be brief")])


def test_refused_conversations_name_roles_and_reason():
    template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(ValueError, match=r"user, user: roles must alternate"):
        ChatTemplate(make(template)).render([("user", "q"), ("user", "r")])
    with pytest.raises(ValueError, match="without turns"):
        ChatTemplate(make(LLAMA)).render([])


def test_thinking_reaches_only_templates_that_know_it(llama):
    thinker = ChatTemplate(make(THINKER))
    messages = [("user", "q")]
    assert thinker.text(messages, thinking=True).endswith("True")
    assert thinker.text(messages, thinking=False).endswith("False")
    assert thinker.text(messages).endswith("<|assistant|>\n")
    assert ChatTemplate(llama).text(messages, thinking=True) == ChatTemplate(llama).text(messages)


def test_prompts_do_not_change_with_the_day():
    text = ChatTemplate(make(DATED)).text([("user", "q")])
    assert text.startswith("26 Jul 2024 2024-07-26<s>")


def test_base_model_reads_plain_text_with_one_bos():
    messages = [("system", "be brief"), ("user", "q")]
    chat = ChatTemplate(make())
    assert chat.text(messages, prefix=" It is") == "be brief\n\nq It is"
    assert chat.text([("user", "2+2=")]) == "2+2="
    assert chat.text([("user", "2+2=")], prefix="4") == "2+2=4"
    turns = [("user", "a"), ("assistant", "b"), ("user", "c")]
    assert chat.text(turns) == "a\nb\nc"
    assert chat.conversation(turns[:2])[1:] == chat.tokenizer.encode(
        "a\nb", add_special_tokens=False
    )
    tokens = chat.render(messages, prefix="It is")
    assert tokens[0] == 1
    assert tokens.count(1) == 1
    assert 1 not in ChatTemplate(make(bos=False)).render(messages)


@settings(max_examples=25, deadline=None)
@given(text=st.text(min_size=1, max_size=80), cut=st.integers(1, 40))
def test_truncation_keeps_frame_and_meets_the_limit(llama, text, cut):
    chat = ChatTemplate(llama)
    messages = [("system", "be brief"), ("user", text)]
    whole = chat.render(messages, prefix="It is")
    frame = chat.render([("system", "be brief"), ("user", "")], prefix="It is")
    limit = max(len(whole) - cut, len(frame))
    tokens, dropped = chat.truncate(messages, limit, prefix="It is")
    assert len(tokens) <= limit
    assert len(tokens) + dropped == len(whole)
    rendered = llama.decode(tokens)
    assert rendered.startswith("<s><|system|>\nbe brief<|end|>\n<|user|>\n")
    assert rendered.endswith("<|end|>\n<|assistant|>\nIt is")


def test_truncation_takes_the_middle_of_the_longest_user_turn(llama):
    chat = ChatTemplate(llama)
    messages = [("user", "first"), ("assistant", "a" * 50), ("user", "begin " + "x" * 90 + " end")]
    whole = chat.render(messages)
    tokens, dropped = chat.truncate(messages, len(whole) - 60)
    text = llama.decode(tokens)
    assert dropped >= 60
    assert all(part in text for part in ("first", "a" * 50, "begin x", "x end<|end|>"))
    assert chat.truncate(messages, len(whole)) == (whole, 0)
    # What no cut can reach stays too long, for the caller to see
    assert len(chat.truncate(messages, 3)[0]) > 3


def test_eos_is_the_union_of_all_that_name_one(llama):
    assert eos_ids(llama) == (2,)
    assert eos_ids(llama, {"eos_token_id": 7}, {"eos_token_id": [3, 2]}) == (2, 3, 7)
    assert eos_ids(llama, {"eos_token_id": None}, {}) == (2,)


@pytest.mark.parametrize(
    ("text", "opened", "expected"),
    [
        ("plain", False, ("", "plain", False)),
        ("<think>\nwhy\n</think>\n\n42", False, ("why", "42", False)),
        ("why\n</think>\n42", True, ("why", "42", False)),
        ("why\n</think>\n42", False, ("why", "42", False)),
        ("why not", True, ("why not", "", True)),
        ("<think>why not", False, ("why not", "", True)),
        ("use the <think> tag", False, ("", "use the <think> tag", False)),
        ("<think>\n\n</think>\n\n42", False, ("", "42", False)),
    ],
)
def test_reasoning_is_parted_from_the_answer(text, opened, expected):
    assert split_reasoning(text, opened) == expected


def test_inside_thought_looks_at_template_and_prefix_only():
    assert inside_thought("<|assistant|>\n<think>\n")
    assert not inside_thought("what is <think>?<|assistant|>\n")
    assert not inside_thought("<think>\n\n</think>\n\n")
    assert inside_thought("<|assistant|>\n<think>\nlet me", "<think>\nlet me")
    assert inside_thought("<think>\nlet me", "let me")
    assert not inside_thought("<think>\nso.</think> 4", "so.</think> 4")


def test_shared_vocabulary_is_the_common_prefix_of_longer_ones(llama):
    longer = make(LLAMA, extra=["<tool>", "<image>"])
    assert shared_vocabulary([llama, llama]) == len(llama)
    assert shared_vocabulary([longer, llama, longer]) == len(llama) == len(longer) - 2


def test_shared_vocabulary_names_the_first_disagreement(llama):
    different = make(specials=[*SPECIALS, "<more>"])
    with pytest.raises(ValueError, match=r"a and b .* token id 4 is '!' .* '<more>'"):
        shared_vocabulary([llama, different], ["a", "b"])


def test_a_reserved_token_may_be_renamed_but_not_moved(llama):
    renamed = make(specials=["<pad>", "<s>", "</s>", "<|turn|>"])
    swapped = make(specials=["<pad>", "</s>", "<s>", "<|end|>"])
    assert shared_vocabulary([llama, renamed]) == len(llama)
    with pytest.raises(ValueError, match="token id 1"):
        shared_vocabulary([llama, swapped])


def test_fingerprint_follows_whatever_changes_ids(llama, tmp_path):
    print_ = tokenizer_fingerprint(llama)
    llama(["a", "the answer"], padding=True, truncation=True, max_length=2)
    assert tokenizer_fingerprint(llama) == print_
    llama.save_pretrained(tmp_path)
    assert tokenizer_fingerprint(load_tokenizer(tmp_path)) == print_
    others = [make(GEMMA), make(LLAMA, bos=False), make(LLAMA, extra=["<tool>"])]
    assert len({print_, *map(tokenizer_fingerprint, others)}) == 4


def test_saved_tokenizer_loads_and_renders_alike(llama, tmp_path):
    llama.save_pretrained(tmp_path)
    again = load_tokenizer(tmp_path)
    messages = [("user", "the question")]
    assert ChatTemplate(again).render(messages) == ChatTemplate(llama).render(messages)


def test_missing_and_broken_tokenizers_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"has no tokenizer: looked for tokenizer.json.*Copy"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps({"version": "1.0"}))
    with pytest.raises(ValueError, match="cannot be loaded"):
        load_tokenizer(tmp_path)
