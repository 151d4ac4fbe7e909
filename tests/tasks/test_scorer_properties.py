"""Scorers on any text never raise or hang, and agree with brute force where that is easy."""

import itertools
import string
import unicodedata
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moco_jax.tasks import Gold, Item, score_items
from moco_jax.tasks.markup import boxes, strip_thinking, unwrap
from moco_jax.tasks.numbers import parse_number, same_number
from moco_jax.tasks.scorers.f1_match import token_f1
from moco_jax.tasks.spelling import canonical_text

PIECES = [
    *("\\boxed{", "\\box{", "\\frac", "\\text{", "\\", "{", "}", "^", "$", "[", "]", "<", ">"),
    *(
        "The ",
        "answer",
        " is ",
        "not ",
        "because ",
        "Answer:",
        "option ",
        "答案",
        "：",
        '"answer": "',
    ),
    *(
        "####",
        "<answer>",
        "</answer>",
        "<think>",
        "</think>",
        "**",
        "(A)",
        "B)",
        " C ",
        "red",
        "blue",
    ),
    *("\n", " ", "1", "0", "-", ",", ".", "/", "%", "e9", "İ", "ﷺ", "\x00", "\ud800"),
]
CHOICES = ("red", "blue", "red and blue", "1")
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
ITEMS = [
    Item(id="dev/0", prompt="q", question="q", choices=CHOICES, kind="multiple_choice"),
    Item(id="dev/1", prompt="q", question="q", kind="exact_match"),
    Item(id="dev/2", prompt="q", question="q", kind="f1_match"),
]
GOLDS = [Gold(("B",)), Gold(("3/4",), "float"), Gold(("red and blue", "1"))]


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_any_text_has_a_score_between_0_and_1(text):
    for score in score_items(ITEMS, GOLDS, [text] * 3):
        assert 0.0 <= score.value <= 1.0
        assert (score.parsed is None) == (score.outcome == "unparsed")
        assert (score.value == 1.0) == (score.outcome == "correct")
    assert score_items(ITEMS, GOLDS, [text] * 3) == score_items(ITEMS, GOLDS, [text] * 3)


@settings(max_examples=100, deadline=None)
@given(st.integers(-(10**12), 10**12), st.integers(-3, 3))
def test_numbers_keep_their_value_in_every_spelling(number, shift):
    value = Fraction(number) / Fraction(10) ** shift
    spellings = [f"{number}e{-shift}", f"{number} \\times 10^{{{-shift}}}", f"{value}"]
    spellings += [f"{number:,}"] * (shift == 0)
    for spelling in spellings:
        parsed = parse_number(spelling)
        assert parsed is not None and parsed.value == value
    assert len({canonical_text(spelling) for spelling in spellings}) == 1


def test_small_integers_are_equal_only_to_themselves():
    for one, other in itertools.product(range(-12, 13), repeat=2):
        first, second = parse_number(str(one)), parse_number(f"{other}.0")
        assert first is not None and second is not None
        assert same_number(first, second) == (one == other)
        assert (canonical_text(str(one)) == canonical_text(f"{other}.0")) == (one == other)


@given(st.lists(st.sampled_from("abc"), max_size=6), st.lists(st.sampled_from("abc"), max_size=6))
def test_word_overlap_is_the_textbook_f1(predicted, gold):
    common = sum(min(predicted.count(word), gold.count(word)) for word in set(predicted))
    precision = common / len(predicted) if predicted else 0.0
    recall = common / len(gold) if gold else 0.0
    expected = 2 * precision * recall / (precision + recall) if common else 0.0
    assert abs(token_f1(predicted, gold) - expected) < 1e-12


@given(st.text(alphabet="ab{} ", max_size=12))
def test_the_last_balanced_box_is_the_one_a_counter_finds(text):
    wrapped = "\\boxed{" + text + "}"
    depth, end = 1, None
    for place, character in enumerate(wrapped[7:], start=7):
        depth += Counter({"{": 1, "}": -1})[character]
        if depth == 0:
            end = place
            break
    found = boxes(wrapped)
    is_bracket_run = not text.strip("{} ")  # bracket answers need not balance
    if end is not None and not is_bracket_run and not text.startswith(("{", "}")):
        assert found == [wrapped[7:end]]


def test_letters_of_every_option_are_read_in_the_common_phrasings():
    choices = tuple(f"thing number {n}" for n in range(26))
    item = Item(id="dev/0", prompt="q", question="q", choices=choices, kind="multiple_choice")
    phrasings = [
        *("{0}", "({0})", "{0}.", "**{0}**", "{0}) {1}", "{1}", "\\boxed{{{0}}}", "Option {0}"),
        *("The answer is {0}.", "The answer is **{0}**.", "Answer: {0}", "<answer>{0}</answer>"),
        *("I choose ({0}) because it fits.", "So, it is {1}.", "The answer's {0}"),
        "A first look helps.\nThe correct answer is ({0}).",
    ]
    for (letter, text), phrasing in itertools.product(
        zip(string.ascii_uppercase, choices, strict=True), phrasings
    ):
        output = phrasing.format(letter, text)
        score = score_items([item], [Gold((letter,))], [output])[0]
        assert score.value == 1.0, output


@pytest.mark.parametrize(
    "piece", [*PIECES, "\\box{ ", "Answer: 12 ", "answer is not ", "A) ", "\\["]
)
def test_a_hundred_thousand_characters_of_anything_are_scored(piece):
    for start, end in (("", ""), ("So the answer", ""), ("\\boxed{", "}" * 1000)):
        width = len(unicodedata.normalize("NFKC", piece))
        text = start + piece * (100_000 // width) + end
        assert len(score_items(ITEMS, GOLDS, [text] * 3)) == 3


def test_nested_boxes_are_looked_at_a_bounded_number_of_times():
    text = "\\boxed{" * 2000 + "}" * 2000
    assert len(boxes(text)) <= 8
    assert unwrap(text) == ""


def test_thinking_is_not_an_answer():
    assert strip_thinking("<think>a</think>b<think>c</think>d") == "d"
    assert strip_thinking("b<think>c") == "b"
