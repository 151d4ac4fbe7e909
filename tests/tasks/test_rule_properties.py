"""No text makes a rule-based scorer raise or hang, and more text costs no more than its length."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moco_jax.tasks import SCORERS, Gold, Item, score_items
from moco_jax.tasks.instructions import Instruction
from moco_jax.tasks.molecules import find_smiles
from moco_jax.tasks.pharmacophore import code

PIECES = [
    *("sorry", "I ", "can't ", "could you ", "which ", "do you mean", "?", "this ", "question "),
    *("is ", "not ", "never ", "it depends", '"', "'", "“", "”", "`", "```", "as an ai", "n't"),
    *("***", "******", "*", "-", "\n", "\n\n", " ", ".", "!", "e.g.", "Dr.", "<<", ">>", "[", "]"),
    *("{", "}", ",", "Section 1", "P.S.", "<Final Answer>", "</Final Answer>", "TP53", "1. ", ":"),
    *(
        "<think>",
        "</think>",
        "class ModelNew",
        "def check_pharmacophore(",
        "c1ccccc1",
        "C",
        "(",
        ")",
    ),
    *("x^", "\\frac", "\\boxed{", "9^", "1", "İ", "ﷺ", "\x00", "\ud800"),
]
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
CATEGORIES = ("False presuppositions", "Subjective questions", "Universal unknowns", "Other")
SETTINGS = {
    "change_case:capital_word_frequency": {"capital_frequency": 2, "capital_relation": "at least"},
    "change_case:english_capital": {},
    "change_case:english_lowercase": {},
    "combination:repeat_prompt": {"prompt_to_repeat": "Say hi."},
    "combination:two_responses": {},
    "detectable_content:number_placeholders": {"num_placeholders": 2},
    "detectable_content:postscript": {"postscript_marker": "P.S."},
    "detectable_format:constrained_response": {},
    "detectable_format:json_format": {},
    "detectable_format:multiple_sections": {"section_spliter": "Section", "num_sections": 2},
    "detectable_format:number_bullet_lists": {"num_bullets": 2},
    "detectable_format:number_highlighted_sections": {"num_highlights": 2},
    "detectable_format:title": {},
    "keywords:existence": {"keywords": ["sorry"]},
    "keywords:forbidden_words": {"forbidden_words": ["sorry", "C++"]},
    "keywords:frequency": {"keyword": "is", "frequency": 2, "relation": "at least"},
    "keywords:letter_frequency": {"letter": "i", "let_frequency": 2, "let_relation": "less than"},
    "length_constraints:nth_paragraph_first_word": {
        "num_paragraphs": 2,
        "nth_paragraph": 2,
        "first_word": "it",
    },
    "length_constraints:number_paragraphs": {"num_paragraphs": 2},
    "length_constraints:number_sentences": {"num_sentences": 2, "relation": "at least"},
    "length_constraints:number_words": {"num_words": 3, "relation": "less than"},
    "punctuation:no_comma": {},
    "startend:end_checker": {"end_phrase": "The end."},
    "startend:quotation": {},
}
INSTRUCTIONS = tuple(Instruction(id, settings) for id, settings in SETTINGS.items())


def item(kind):
    return Item(id="dev/0", prompt="q", question="q", kind=kind)


ITEMS = [item("ifeval"), item("gene_ranking"), *[item("noncompliance")] * len(CATEGORIES)]
GOLDS = [
    Gold((), details={"instructions": INSTRUCTIONS}),
    Gold((), details={"relevance": {"TP53": 2.0, "BRCA1": 1.0, "C": -1.0}}),
    *(Gold((), details={"category": category}) for category in CATEGORIES),
]


def score_everywhere(text):
    scores = score_items(ITEMS, GOLDS, [text] * len(ITEMS))
    SCORERS["kernel_bench"].extract(item("kernel_bench"), text)
    code(text)
    return scores


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_any_text_has_a_score_between_0_and_1(text):
    for score in score_everywhere(text):
        assert 0.0 <= score.value <= 1.0
        assert (score.parsed is None) == (score.outcome == "unparsed")


@pytest.mark.parametrize("piece", PIECES)
def test_a_hundred_thousand_characters_of_anything_are_scored(piece):
    for start, end in (("", ""), ("Which ", "?"), ('"', " x")):
        assert len(score_everywhere(start + piece * (100_000 // len(piece)) + end)) == len(ITEMS)


def test_megabytes_of_text_are_scored():
    for text in (
        "The river is wide. " * 60_000,
        "\n" * 1_000_000,
        "{" * 1_000_000,
        "." * 1_000_000,
    ):
        score_everywhere(text)
        score_everywhere(text + "a")


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="CcNnOo1234()[]=#@+-.%`\n ", max_size=200))
def test_anything_may_be_offered_as_a_molecule(text):
    pytest.importorskip("rdkit")
    found = find_smiles(text)
    assert found is None or found in text


@pytest.mark.parametrize("text", ["C1" * 190, "c1ccccc1" * 49, "(" * 399, "C(" * 190, "[C]" * 133])
def test_molecules_that_are_hard_to_read_are_left_in_time(text):
    pytest.importorskip("rdkit")
    find_smiles(text)
