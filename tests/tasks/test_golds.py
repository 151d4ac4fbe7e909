"""Golds and texts of rows: what is read from them, refused, and warned of."""

import json

import pytest

from moco_jax.decoding.types import Request
from moco_jax.runs.config import RunConfig
from moco_jax.tasks import Gold, Item, load_task, score_items
from moco_jax.tasks.surrogates import refuse_halves

HALF = "\ud83d"


def write(path, rows, kind="exact_match", dev=None):
    path.write_text(json.dumps({"task_type": kind, "dev": dev or rows, "test": rows}))
    return path


@pytest.mark.parametrize(
    ("gold", "answers"),
    [
        ("She sells 9 eggs.\nSo 9 * 8 = <<9*8=72>>72.\n#### 72", ("72",)),
        ("Long.\n####1,200\n", ("1,200",)),
        ("Long. #### -3.5", ("-3.5",)),
        ("#### 72", ("72",)),
        ("# Title\n## Part", ("# Title\n## Part",)),
        ("####", ("####",)),
        (["#### 72", "six dozen"], ("72", "six dozen")),
        (72, ("72",)),
    ],
)
@pytest.mark.parametrize("kind", ["exact_match", "f1_match", "general_verifier"])
def test_of_a_solution_the_answer_stands_behind_the_mark(tmp_path, gold, answers, kind):
    task = load_task(write(tmp_path / "t.json", [{"input": "How many?", "output": gold}], kind))
    if kind == "general_verifier" and isinstance(gold, list):
        answers = (", ".join(gold),)
    assert task.test.golds[0].answers == answers or kind == "general_verifier"
    if kind == "exact_match" and answers[0] == "72":
        outputs = ["\\boxed{72}", "She has 72.\n#### 72", "The answer is 72 eggs.", "73"]
        values = [task.score("test", [output])[0].value for output in outputs]
        assert values == [1.0, 1.0, 1.0, 0.0]


def test_golds_that_no_output_can_give_are_warned_of_once(tmp_path, caplog):
    solution = {"input": "How many?", "output": "She sells 9 eggs.\nSo she gets 72."}
    plain = {"input": "How many?", "output": "72"}
    load_task(write(tmp_path / "t.json", [plain, solution, solution], dev=[plain]))
    assert len(caplog.records) == 1
    message = caplog.text
    assert "2 of 4 golds" in message
    assert "test row 1: 'She sells 9 eggs." in message
    assert "'#### 72'" in message
    caplog.clear()
    names = [{"input": "Who?", "output": "Mr.\nX"}]
    load_task(write(tmp_path / "f.json", names, "f1_match"))
    load_task(write(tmp_path / "g.json", [{"input": "?", "output": "\\text{(A)}"}, plain]))
    assert not caplog.records


ROWS = {
    "'input'": ("exact_match", {"input": f"What is 2+2? {HALF}", "output": "4"}),
    "'output'": ("exact_match", {"input": "A drink?", "output": f"coffee {HALF}"}),
    r"'output'\[1\]": ("f1_match", {"input": "A drink?", "output": ["tea", HALF]}),
    "'choices'.A": (
        "multiple_choice",
        {"question": "2+2?", "choices": {"A": HALF, "B": "4"}, "answer": "B"},
    ),
    r"'kwargs'\[0\].keyword": (
        "ifeval",
        {
            "input": "Write.",
            "instruction_id_list": ["keywords:frequency"],
            "kwargs": [{"keyword": HALF, "frequency": 1, "relation": "at least"}],
        },
    ),
}


@pytest.mark.parametrize(("field", "kind", "row"), [(f, k, r) for f, (k, r) in ROWS.items()])
def test_half_a_character_is_refused_with_its_row_and_field(tmp_path, field, kind, row):
    whole = json.loads(json.dumps(row).replace("\\ud83d", "x"))
    path = write(tmp_path / "t.json", [whole, row], kind, dev=[whole])
    with pytest.raises(ValueError, match=rf"test row 1.*field {field} holds half a character"):
        load_task(path)


def test_half_a_character_reaches_no_member_and_no_run(tmp_path):
    with pytest.raises(ValueError, match="the user message holds half a character"):
        Request.user(f"hello {HALF}")
    (tmp_path / "t.json").write_text("{}")
    config = {"method": "single_model", "task": "t", "models": [f"tiny:{HALF}"]}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"config.models\[0\] holds half a character"):
        RunConfig.from_json(path)
    refuse_halves({"a": ["whole \U0001f600", 3, None]}, "x")


def test_samples_of_a_group_are_judged_apart():
    one, two = (
        Item(id=f"test/{n}", prompt=f"q{n}", question=f"q{n}", kind="exact_match", group="g")
        for n in range(2)
    )
    gold = Gold(("7",))

    def values(items, outputs):
        scores = score_items(items, [gold] * len(items), outputs)
        return [score.value for score in scores]

    assert values([one] * 4, ["7", "7", "8", "7"]) == [1, 1, 0, 1]
    # Sample by sample: both right; one right; both right
    items = [one, two] * 3
    assert values(items, ["7", "7", "7", "8", "7", "7"]) == [1, 1, 0, 0, 1, 1]
    # In whichever order they stand
    items = [one] * 3 + [two] * 3
    assert values(items, ["7", "7", "7", "7", "8", "7"]) == [1, 0, 1, 1, 0, 1]
    assert values([one, two], ["7", "8"]) == [0, 0]
