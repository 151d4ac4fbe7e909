"""Answers: reasoning is split off once, and stop strings count only behind it."""

import dataclasses

import numpy as np
import pytest

from moco_jax.decoding import loop
from moco_jax.decoding.answers import Writer
from moco_jax.decoding.render import at_once, render
from moco_jax.decoding.types import Request, Sampling
from moco_jax.testing import dummy_member, dummy_tokenizer

TOKENIZER = dummy_tokenizer()


def write(text: str, stop: tuple[str, ...] = (), thinking: bool = False, finish: int = loop.STOP):
    writer = Writer(TOKENIZER, (0,), stop)
    return writer.write(np.array(TOKENIZER.encode(text)), finish, thinking)


def test_plain_text_is_the_answer():
    answer = write("forty two")
    assert (answer.text, answer.reasoning, answer.finish) == ("forty two", "", "stop")
    assert write("forty", finish=loop.LENGTH).finish == "length"


@pytest.mark.parametrize(
    ("text", "thinking"), [("<think>hm. so</think>B", False), ("hm. so</think>\nB", True)]
)
def test_reasoning_is_split_off(text, thinking):
    answer = write(text, thinking=thinking)
    assert (answer.text, answer.reasoning) == ("B", "hm. so")


def test_a_thought_cut_by_the_budget_is_no_answer():
    answer = write("A or B", thinking=True, finish=loop.LENGTH)
    assert (answer.text, answer.reasoning, answer.finish) == ("", "A or B", "length")


@pytest.mark.parametrize("stop", [".", ">", "think"])
def test_stop_strings_count_only_behind_the_reasoning(stop):
    text = "a. b</think>C, then D"
    assert write(text, (stop,), thinking=True).text == "C, then D"
    cut = write(f"{text}{stop}E", (stop,), thinking=True)
    assert (cut.text, cut.reasoning, cut.finish) == ("C, then D", "a. b", "stop")
    # One token per byte: all up to the end of the stop string is kept.
    assert cut.kept == len(text) + len(stop)


def test_an_open_thought_does_not_stop():
    writer = Writer(TOKENIZER, (0,), (".",))
    assert not writer.stopped(np.array(TOKENIZER.encode("a. b")), thinking=True)
    assert writer.stopped(np.array(TOKENIZER.encode("a. b")), thinking=False)


def test_prompts_say_whether_they_leave_a_thought_open():
    member = dummy_member("a", 0)
    thoughtful = dummy_tokenizer()
    thoughtful.chat_template += "{% if add_generation_prompt %}<think>{% endif %}"
    info = dataclasses.replace(member.info, tokenizer=thoughtful)
    thinker = dataclasses.replace(member, info=info)

    def thinking(who, **fields):
        return render((who,), Request.user("<think> is a tag", **fields), Sampling()).thinking

    assert not thinking(member)
    assert thinking(thinker)
    assert thinking(member, prefix="<think>so")
    assert not thinking(thinker, prefix="no.</think>")
    asked = Request.user("which one?")
    assert at_once(member, asked, Sampling())[0] == asked
    request, sampling, prompt = at_once(thinker, asked, Sampling())
    text = TOKENIZER.decode(prompt.tokens[0])
    assert text.endswith("<think>\n</think>\n\n")
    assert not prompt.thinking
    assert render((thinker,), request, sampling).tokens[0].tolist() == prompt.tokens[0].tolist()


def test_templates_are_told_not_to_think():
    member = dummy_member("a", 0)
    asks = dummy_tokenizer()
    asks.chat_template += (
        "{% if enable_thinking is not defined or enable_thinking %}<think>{% endif %}"
    )
    thinker = dataclasses.replace(member, info=dataclasses.replace(member.info, tokenizer=asks))
    assert render((thinker,), Request.user("so?"), Sampling()).thinking
    request, _, prompt = at_once(thinker, Request.user("so?"), Sampling())
    assert (request.prefix, prompt.thinking) == ("", False)


@pytest.mark.parametrize(
    ("text", "stop", "wanted", "kept"),
    [
        ("fin<|user|>XYZ", "<|user|>", "fin", 4),
        ("fin<|user|>QXYZ", "<|user|>Q", "fin", 5),
        ("fin<|user|>XYZ", "n<|user|>", "fi", 4),
        ("fin<|user|><|system|>XYZ", "<|user|><|system|>", "fin", 5),
        ("fin<|user|>XYZ", "user", "fin", 4),
        ("fin<|user|>XYZ", "<|user|>Q", "finXYZ", 7),
        ("fin<|user|>XYZ", "Y", "finX", 6),
        ("fin<|end|>", "end", "fin", 4),
        ("fin<|end|>", "<|end|>", "fin", 4),
    ],
)
def test_stop_strings_may_be_or_hold_special_tokens(text, stop, wanted, kept):
    for finish in (loop.STOP, loop.LENGTH):
        answer = write(text, (stop,), finish=finish)
        assert (answer.text, answer.kept) == (wanted, kept)
        assert answer.finish == (
            "length" if wanted == "finXYZ" and finish == loop.LENGTH else "stop"
        )
    # Tokens that stop are seen as soon as they are whole
    tokens = np.array(TOKENIZER.encode(text))
    writer = Writer(TOKENIZER, (0,), (stop,))
    stops = [writer.stopped(tokens[:count], False) for count in range(1, len(tokens) + 1)]
    assert stops == [wanted != "finXYZ" and count >= kept for count in range(1, len(tokens) + 1)]


def test_one_stop_string_may_stand_without_a_tuple():
    assert Sampling(stop="ab") == Sampling(stop=["ab"]) == Sampling(stop=("ab",))
    with pytest.raises(ValueError, match="empty string"):
        Sampling(stop="")


def test_special_tokens_that_stop_nothing_are_not_shown():
    assert write("a<|user|>b<|end|>").text == "ab"
    assert write("a<|user|>b<|end|>", ("no",)).text == "ab"


def test_marks_of_reasoning_may_be_special_tokens():
    tokenizer = dummy_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|user|>", "<think>", "</think>"]})
    for text, stop, thinking, wanted in (
        ("<think>hm. so</think>B<|end|>", (), False, ("B", "hm. so")),
        ("hm. so</think>B", (), True, ("B", "hm. so")),
        ("<think>hm. so</think>B. C", (".",), False, ("B", "hm. so")),
        ("<think>hm. so</think>B<|user|>C", ("<|user|>",), False, ("B", "hm. so")),
        ("<think>hm. so", (".",), False, ("", "hm. so")),
        ("B. C", (".",), False, ("B", "")),
    ):
        tokens = np.array(tokenizer.encode(text))
        answer = Writer(tokenizer, (0,), stop).write(tokens, loop.STOP, thinking)
        assert (answer.text, answer.reasoning) == wanted
