"""IFEval's instructions, each on texts that follow it and texts that just do not."""

import pytest

from moco_jax.tasks import SCORERS, Item, score_items
from moco_jax.tasks.instructions import INSTRUCTIONS, instruction
from moco_jax.tasks.instructions.counting import sentence_count

CASES = [
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "at least"},
        ["WOW THAT works", "I see NASA"],
        ["Hello World", "WOW"],
    ),
    ("change_case:english_capital", {}, ["WE LIKE IT! 42"], ["WE LIKE It", "12 34", "我们 OK"]),
    ("change_case:english_lowercase", {}, ["we like it! 42"], ["We do", "12", "我们 ok"]),
    (
        "combination:repeat_prompt",
        {"prompt_to_repeat": "Say hi."},
        ["say HI. Hi!", " Say hi."],
        ["Sure. Say hi.", "Hi!"],
    ),
    (
        "combination:two_responses",
        {},
        ["One.\n******\nTwo."],
        ["******", "A.******A.", "A.******B.******C.", "A.\n*****\nB."],
    ),
    (
        "detectable_content:number_placeholders",
        {"num_placeholders": 2},
        ["[a] and []", "[[a] [b]"],
        ["[a]", "[a\nb] [c]"],
    ),
    (
        "detectable_content:postscript",
        {"postscript_marker": "P.S."},
        ["Bye.\np.s. one more", "P. S. x"],
        ["PS one more", "Bye."],
    ),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, ["P. P. S x"], ["P.S. x"]),
    (
        "detectable_content:postscript",
        {"postscript_marker": "P.P.S."},
        ["Bye.\nP.P.S x", "Bye.\np.p.s: x", "P.P.S. x"],
        ["P.S. x", "PPS x"],
    ),
    (
        "detectable_format:constrained_response",
        {},
        ["So: My answer is no. Yes."],
        ["my answer is no.", "My answer is no"],
    ),
    (
        "detectable_format:json_format",
        {},
        ['{"a": [1]}', '```JSON\n{"a": 1}\n```', "7"],
        ['Here: {"a": 1}', "{a: 1}", "[" * 100_000],
    ),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "Day", "num_sections": 2},
        ["Day 1 x Day2 y"],
        ["Day 1", "day 1 day 2"],
    ),
    (
        "detectable_format:number_bullet_lists",
        {"num_bullets": 2},
        ["* a\n* b", "- a\n  - b\nend"],
        ["* a\n* b\n* c", "* a", "**a**\n**b**"],
    ),
    (
        "detectable_format:number_highlighted_sections",
        {"num_highlights": 2},
        ["*a* and *b c*", "**a** **b**"],
        ["*a*", "** ** *b*", "*a\nb* *c*"],
    ),
    ("detectable_format:title", {}, ["<<River>>\nIt flows."], ["# River", "<< >>", "<<a\nb>>"]),
    ("keywords:existence", {"keywords": ["Mom", "dad"]}, ["MOM, dads"], ["mom"]),
    (
        "keywords:forbidden_words",
        {"forbidden_words": ["have", "C++"]},
        ["behave", "C+"],
        ["I Have.", "use C++ now"],
    ),
    (
        "keywords:frequency",
        {"keyword": "a b", "frequency": 2, "relation": "less than"},
        ["A b", ""],
        ["a b a b"],
    ),
    (
        "keywords:letter_frequency",
        {"letter": "q", "let_frequency": 2, "let_relation": "at least"},
        ["Qq"],
        ["q"],
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "it"},
        ["a\n\n“It” is", "a\n\nIt, b"],
        ["It\n\nis", "a\n\nitem", "a\n\nit\n\nc", "it"],
    ),
    (
        "length_constraints:number_paragraphs",
        {"num_paragraphs": 2},
        ["a\n***\nb", "***\na *** b"],
        ["a\n\nb", "a *** b *** c", "a *** *** b"],
    ),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": "at least"},
        ["One. Two!", '"One?" Two'],
        ["One, two.", "******"],
    ),
    (
        "length_constraints:number_words",
        {"num_words": 3, "relation": "less than"},
        ["well-known"],
        ["one well-known"],
    ),
    ("punctuation:no_comma", {}, ["a; b"], ["a, b"]),
    (
        "startend:end_checker",
        {"end_phrase": "The end."},
        ['so it is. the END."', "The end.\n"],
        ["The end. Or not."],
    ),
    ("startend:quotation", {}, [' "a b" '], ['"', '"a', "“a”"]),
]


@pytest.mark.parametrize(("id", "settings", "good", "bad"), CASES)
def test_each_instruction_tells_what_follows_it(id, settings, good, bad):
    check = instruction(id, settings)
    assert [text for text in good if not check.followed(text)] == []
    assert [text for text in bad if check.followed(text)] == []


def test_every_instruction_has_a_case():
    assert {case[0] for case in CASES} == set(INSTRUCTIONS) - {"language:response_language"}


def test_the_language_of_a_text():
    pytest.importorskip("py3langid")
    german = instruction("language:response_language", {"language": "de"})
    assert german.followed("Der Fluss ist heute breit und ruhig, und die Kinder winken vom Ufer.")
    assert not german.followed("The river is wide and calm today, and the children wave.")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Dr. Smith met J. Doe. They left.", 2),
        ("Use e.g. this one, etc. and go. Then stop!", 2),
        ("1. First item.\n2. Second item.", 2),
        ("Wait... what?! Yes.", 3),
        ("It costs 3.50 dollars", 1),
        ("你好。再见！", 2),
        ("...", 0),
    ],
)
def test_sentences_are_counted_past_abbreviations(text, count):
    assert sentence_count(text) == count


def test_an_item_is_worth_the_share_of_its_instructions():
    row = {
        "input": "Say it.",
        "instruction_id_list": ["punctuation:no_comma", "startend:quotation"],
        "kwargs": [{"unused": None}, {}],
    }
    content = SCORERS["ifeval"].read(row)
    item = Item(id="dev/0", prompt="q", question="q", kind="ifeval")
    outputs = ['"a"', "a", '"a, b', "<think>hm</think>", ""]
    scores = score_items([item] * 5, [content.gold] * 5, outputs)
    assert [score.value for score in scores] == [1.0, 0.5, 0.0, 0.0, 0.0]
    assert [score.outcome for score in scores[2:]] == ["wrong", "unparsed", "unparsed"]


@pytest.mark.parametrize(
    ("ids", "kwargs", "message"),
    [
        (["punctuation:no_dots"], [{}], "unknown"),
        (["punctuation:no_comma"], [], "one length"),
        ([], [], "empty"),
        (["keywords:existence"], [{}], "takes"),
        (["keywords:existence"], [{"keywords": "a"}], "list of words"),
        (
            ["length_constraints:number_words"],
            [{"num_words": "3", "relation": "at least"}],
            "whole",
        ),
        (["length_constraints:number_words"], [{"num_words": 3, "relation": "about"}], "one of"),
    ],
)
def test_a_row_that_breaks_the_format_is_named(ids, kwargs, message):
    with pytest.raises(ValueError, match=message):
        SCORERS["ifeval"].read({"input": "q", "instruction_id_list": ids, "kwargs": kwargs})
