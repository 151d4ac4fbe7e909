"""Coding: which program an output holds, which function is asked for, and what passes."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moco_jax.tasks import Gold, Item, load_task, score_items
from moco_jax.tasks.code_answers import find_code, trim
from moco_jax.tasks.code_questions import function_asked_for, prompt_code
from moco_jax.tasks.sandbox import Limits, SandboxError, require_sandbox, run_programs
from moco_jax.tasks.scorers import coding, scorer_for

GOOD = "def square(x):\n    return x * x"
WRONG = "def square(x):\n    return x + 1"
QUESTION = "Write a function to square a number. Your code should pass: assert square(3) == 9"
BEGUN = (
    "Complete the following code\nfrom typing import List\n\n\ndef helper(x):\n    return x\n\n\n"
    'def squares(xs: List[int]) -> List[int]:\n    """Squares of all.\n    >>> squares([2])\n'
    '    [4]\n    """'
)
TEST = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(-3) == 9\n"
TESTS = "def check(candidate):\n    assert candidate([2, 3]) == [4, 9] and helper(1) == 1\n"
LIMITS = Limits(cpu_seconds=2, wall_seconds=4.0)


def quick(programs):
    return run_programs([dataclasses.replace(program, limits=LIMITS) for program in programs])


def fenced(code, tag="python"):
    return f"```{tag}\n{code}\n```"


def gold(question, test, **fields):
    return coding.read({"input": question, "test": test, **fields}).gold


def worth(outputs, question=QUESTION, test=TEST, **fields):
    try:
        require_sandbox()
    except SandboxError as error:
        pytest.skip(str(error))
    item = Item(id="test/0", prompt=question, question=question, kind="coding")
    golds = [gold(question, test, **fields)] * len(outputs)
    return score_items([item] * len(outputs), golds, outputs, runner=quick)


PASSING = [
    GOOD,
    fenced(GOOD),
    fenced(GOOD, "py"),
    fenced(GOOD, "Python3"),
    fenced(GOOD, ""),
    fenced(GOOD, " python  "),
    fenced(GOOD, 'python title="a.py"'),
    "~~~python\n" + GOOD + "\n~~~",
    fenced(GOOD).replace("\n", "\r\n"),
    fenced(GOOD) + "\nUse it:\n" + fenced("print(square(3))"),
    fenced("pip install x", "bash") + "\n" + fenced(GOOD) + "\n" + fenced("9", "text"),
    fenced(WRONG) + "\nNo, that is wrong:\n" + fenced(GOOD),
    "```python\n" + GOOD,
    "Here it is:\n\n" + GOOD + "\n\nThis multiplies x by itself.",
    "<think>" + fenced(WRONG) + "</think>\n" + fenced(GOOD),
    fenced("def helper(x):\n    return x\n\n" + GOOD),
    fenced("class square_of:\n    def old(self): ...\n\n" + GOOD),
    fenced("# def old(x):\n" + GOOD),
    fenced("square = lambda x: x * x"),
    fenced("from functools import cache\n@cache\n" + GOOD),
    fenced("from __future__ import annotations\n" + GOOD),
    fenced(GOOD + "\n\nif __name__ == '__main__':\n    square(int(input()))"),
    fenced(GOOD + "\nprint('AssertionError', file=sys.stderr)"),
    fenced("if True:\n    " + GOOD.replace("\n", "\n    ")),
]
FAILING = [
    fenced(WRONG),
    fenced(GOOD) + "\nSimpler:\n" + fenced(WRONG),
    fenced(WRONG + "\nimport sys; sys.exit(0)"),
    fenced("import os\ndef square(x):\n    os._exit(0)"),
    fenced("def square(x):\n    raise SystemExit"),
    fenced("def square(x):\n    os.execv('/bin/true', ['true'])"),
    fenced("def square(x):\n    while True: pass"),
    fenced("def square(x):\n    return [0] * 10 ** 10"),
    fenced("def square(x):\n    print('x' * 10 ** 7)\n    return x * x"),
    fenced(GOOD + "\nx = '\ud800'"),
    fenced("def square(x)\n    return x * x"),
    fenced("def cube(x):\n    return x ** 3"),
    fenced("take x and multiply it", ""),
]
NO_PROGRAM = ["", None, "I can't write that.", "<think>" + fenced(GOOD), "Multiply x by itself."]


def test_right_programs_pass_however_they_are_written():
    scores = worth(PASSING)
    assert [(text, score.outcome) for text, score in zip(PASSING, scores, strict=True)] == [
        (text, "correct") for text in PASSING
    ]


def test_wrong_programs_fail_however_they_end():
    assert [score.outcome for score in worth(FAILING)] == ["wrong"] * len(FAILING)


def test_what_holds_no_program_is_unparsed():
    assert [score.outcome for score in worth(NO_PROGRAM)] == ["unparsed"] * len(NO_PROGRAM)


def test_what_the_question_begins_may_be_relied_on():
    body = "    return [x * x for x in xs]"
    whole = "def squares(xs: List[int]):\n" + body
    outputs = [
        body,
        fenced(body),
        body.strip(),
        whole,
        fenced(BEGUN.split("\n", 1)[1] + "\n" + body),
    ]
    assert [score.value for score in worth(outputs, BEGUN, TESTS)] == [1.0] * len(outputs)
    others = ["pass", "", fenced("return xs"), fenced("def other(xs):\n" + body)]
    assert [score.value for score in worth(others, BEGUN, TESTS)] == [0.0] * len(others)


def test_the_function_comes_from_the_question_or_the_test():
    assert function_asked_for(QUESTION) == "square"
    assert function_asked_for("... assert set(both([1], [2])) == set((both,))") == "both"
    assert function_asked_for("... assert math.isclose(area(1), 3.14)") == "area"
    assert function_asked_for("... assert not (odd (2))") == "odd"
    assert function_asked_for(BEGUN) == "squares"
    assert function_asked_for("Write a function called `add`.") == "add"
    assert function_asked_for("Do something.", "assert thing(1) == 2") == "thing"
    assert function_asked_for("Do something.", TEST) is None
    assert prompt_code(BEGUN).startswith("from typing") and prompt_code(QUESTION) == ""


def test_tests_may_be_plain_assertions_or_leave_the_name_open():
    assert [s.value for s in worth([GOOD, WRONG], "Square.", "assert square(2) == 4")] == [1.0, 0.0]
    scores = worth([f"def one(x): return 1\n{GOOD}".replace("square", "f"), WRONG], "Square.", TEST)
    assert [score.value for score in scores] == [1.0, 0.0]
    assert worth([GOOD], "Square.", TEST, entry_point="square")[0].value == 1.0


def test_rows_that_cannot_be_scored_are_left_out_or_named():
    assert gold(QUESTION, "") is None
    with pytest.raises(ValueError, match="'language' is 'cpp'"):
        gold(QUESTION, TEST, language="cpp")
    with pytest.raises(ValueError, match=r"'test' is not Python source.*not supported"):
        gold(QUESTION, "3 4\n")
    with pytest.raises(ValueError, match="use score_items"):
        coding.SCORER.compare(Item(id="", prompt="", question="", kind="coding"), Gold(()), "")


def test_comments_and_layout_do_not_part_votes():
    item = Item(id="test/0", prompt="", question=QUESTION, kind="coding")
    canonical = scorer_for("coding").canonical
    assert canonical(item, GOOD + "  # done\n") == canonical(item, GOOD.replace("    ", "  "))
    assert canonical(item, "no python (") == "no python ("


PIECES = ["```", "```python\n", "~~~", "\n", "def square(x):\n", "    return x\n", "import os\n"]
PIECES += ["<think>", "</think>", "(", ")", '"""', "'", "#", "\\", "\x00", "\ud800", "x = 1\n", "@"]
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=40).map("".join))


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_any_text_can_be_searched_for_code(text):
    for question in (QUESTION, BEGUN, text):
        found = find_code(text, function_asked_for(question), prompt_code(question))
        assert found is None or found.strip()


@pytest.mark.parametrize(
    "text",
    [
        "\n" * 100_000,
        "```" * 100_000,
        "```\n" * 50_000,
        "```python\n" * 50_000,
        "`" * 1_000_000,
        "(" * 100_000,
        "[" * 90 + "\n" * 10_000,
        "def f(x):\n" * 20_000,
        "x = 1 +\n" * 20_000,
        "-" * 100_000 + "1",
        "x = " + "-" * 50_000 + "1",
        "x = " + "a." * 40_000 + "b",
        "x = " + "f(" * 90 + ")" * 90,
        "x = 'a\n" * 20_000,
        '"""' * 50_000,
        "\\" * 1_000_000,
        "if x:\n" + "".join(" " * n + "if x:\n" for n in range(1, 400)),
        "assert " * 50_000,
        "@" * 100_000,
        "lambda: " * 20_000 + "x",
        "x = 1 " + "+ 1 " * 30_000,
    ],
    ids=range(21),
)
def test_degenerate_texts_are_searched_in_bounded_work(text):
    item = Item(id="test/0", prompt="", question=QUESTION, kind="coding")
    found = coding.SCORER.extract(item, text)
    if found is not None:
        coding.SCORER.canonical(item, found)
    trim(text[:100_000])
    function_asked_for(text[:5000], text)


def test_golden_targets_are_met(shared_dir):
    require_sandbox()
    rows = [json.loads(line) for line in (shared_dir / "golden" / "scores_coding.jsonl").open()]
    off = []
    for name, split in sorted({(row["task"], row["split"]) for row in rows}):
        task = load_task(name, data_dir=shared_dir / "data")
        places = {item.id: place for place, item in enumerate(task.items(split))}
        chosen = [row for row in rows if (row["task"], row["split"]) == (name, split)]
        places = [places[f"{split}/{row['index']}"] for row in chosen]
        items = [task.items(split)[place] for place in places]
        golds = [task.split(split).golds[place] for place in places]
        scores = score_items(items, golds, [row["output"] for row in chosen], runner=quick)
        off += [
            (name, split, row["index"], row["kind"])
            for row, score in zip(chosen, scores, strict=True)
            if row["target"] is not None and abs(score.value - row["target"]) > 1e-6
        ]
    assert not off
