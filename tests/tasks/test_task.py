"""Scoring through a task: lengths, indices, groups, and what dev and test share."""

import json

import pytest

from moco_jax.tasks import Gold, Item, Score, leaked_indices, load_task, score_items


@pytest.fixture
def task(tmp_path):
    path = tmp_path / "sums.json"
    rows = [{"input": f"{n}+{n}=", "output": str(2 * n)} for n in range(4)]
    path.write_text(json.dumps({"task_type": "exact_match", "dev": rows, "test": rows[1:]}))
    return load_task(path)


def test_scores_say_value_parsed_and_outcome(task):
    scores = task.score("dev", ["\\boxed{0}", "The answer is 3.", None, "  "])
    assert scores == [
        Score(1.0, "0", "correct"),
        Score(0.0, "3", "wrong"),
        Score(0.0, None, "unparsed"),
        Score(0.0, None, "unparsed"),
    ]


def test_indices_address_positions_of_the_split(task):
    scores = task.score("test", ["6", "2", "2"], indices=[2, 0, 1])
    assert [score.value for score in scores] == [1.0, 1.0, 0.0]


def test_mismatched_lengths_and_indices_are_errors(task):
    for outputs, indices, reason in ((["1"], None, "1 outputs"), (["1"], [0, 1], "1 outputs")):
        with pytest.raises(ValueError, match=reason):
            task.score("dev", outputs, indices)
    with pytest.raises(ValueError, match="outside"):
        task.score("test", ["1"], [3])
    with pytest.raises(ValueError, match="no split"):
        task.score("train", [])
    with pytest.raises(ValueError, match="2 items"):
        score_items(task.items("dev")[:2], task.dev.golds[:2], ["0"])


def test_a_kind_without_a_scorer_names_those_there_are():
    item = Item(id="dev/0", prompt="q", question="q", kind="telepathy")
    with pytest.raises(ValueError, match="multiple_choice"):
        score_items([item], [Gold(("x",))], ["x"])


def test_grouped_items_count_only_together(tmp_path):
    rows = [{"input": f"s{i}", "output": "True", "question_id": i // 2} for i in range(6)]
    path = tmp_path / "groups.json"
    path.write_text(json.dumps({"task_type": "exact_match", "dev": rows, "test": rows}))
    task = load_task(path)
    scores = task.score("dev", ["True", "True", "True", "False", "True", ""])
    assert [score.value for score in scores] == [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    assert [score.outcome for score in scores[2:]] == ["wrong", "wrong", "wrong", "unparsed"]
    assert task.score("dev", ["True"], indices=[2])[0].value == 1.0


def test_test_questions_that_stand_in_dev_are_found(task):
    assert leaked_indices(task) == [0, 1, 2]


def test_leakage_looks_past_case_and_spacing_but_not_at_other_options(tmp_path):
    def row(question, last):
        return {"question": question, "choices": {"A": "x", "B": last}, "answer": "A"}

    path = tmp_path / "t.json"
    dev, test = [row("Who  am I?", "y")], [row("who am i?", "Y"), row("Who am I?", "z")]
    path.write_text(json.dumps({"task_type": "multiple_choice", "dev": dev, "test": test}))
    assert leaked_indices(load_task(path)) == [0]


def test_canonical_brings_equal_answers_together(task):
    item = task.items("dev")[0]
    for same in (("42.", "42", "42.0", "$42$", "\\$42", "42%"), ("1/2", "0.5", "\\frac12", ".50")):
        assert len({task.canonical(item, spelling) for spelling in same}) == 1
    for other in (("5", "-5"), ("x+1", "x-1"), ("Paris", "Rome"), ("34", "3/4")):
        assert len({task.canonical(item, spelling) for spelling in other}) == 2


def test_canonical_of_what_was_extracted_is_stable(task):
    item = task.items("dev")[0]
    for text in ("The answer is **Paris**.", "\\boxed{\\frac{5}{6}}", "Answer: 1, 2, 3", "{[(<"):
        once = task.canonical(item, task.extract(item, text) or "")
        assert task.canonical(item, once) == once
