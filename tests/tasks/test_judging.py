"""Kinds that a model judges: what judges see, what comes of their values, and what is missing."""

import json

import pytest

from moco_jax.tasks import ROLES, Case, Item, load_task, score_items
from moco_jax.tasks.items import Gold
from moco_jax.tasks.scorers import SCORERS
from moco_jax.tasks.templates import TEMPLATES

JUDGED = {kind: scorer.judged for kind, scorer in SCORERS.items() if scorer.judged}


def item(kind, question="Why?", **fields):
    return Item("test/0", f"{question} Please.", question, kind=kind, **fields)


def test_the_judged_kinds_and_their_roles():
    assert {kind: judged.role for kind, judged in JUDGED.items()} == {
        "general_verifier": "verifier",
        "generation_diversity": "embedding_model",
        "reward_model": "reward_model",
        "text_generation": "reward_model",
    }
    assert set(JUDGED) <= set(TEMPLATES)


@pytest.mark.parametrize("kind", JUDGED)
def test_without_a_judge_the_error_says_what_to_pass_and_names_the_papers_own(kind):
    role = ROLES[JUDGED[kind].role]
    with pytest.raises(ValueError, match=f"--{role.name}=NAME.*{role.default}"):
        score_items([item(kind)], [Gold(("x",))], ["an answer"])


def test_rewards_are_unbounded_and_blank_answers_are_judged_too():
    seen = []

    def judge(cases):
        seen.extend(cases)
        return [-12.5, 3.0]

    pair = [item("reward_model")] * 2
    scores = score_items(
        pair, [Gold(())] * 2, ["<think>hm</think> fine ", None], {"reward_model": judge}
    )
    assert seen == [Case("Why? Please.", "fine"), Case("Why? Please.", "")]
    assert [(score.value, score.outcome) for score in scores] == [
        (-12.5, "scored"),
        (3.0, "scored"),
    ]


def test_a_verifier_sees_the_extracted_answer_and_decides_right_or_wrong():
    seen = []

    def judge(cases):
        seen.extend(cases)
        return [1.0, 0.0]

    rows = [item("general_verifier")] * 3
    golds = [Gold((r"\frac{1}{2}",))] * 3
    outputs = [r"So \boxed{\frac{2}{4}}.", "", "I think it is 7. The answer is 7."]
    scores = score_items(rows, golds, outputs, {"verifier": judge})
    assert [case.answer for case in seen] == [r"\frac{2}{4}", "7"]
    assert seen[0] == Case("Why?", r"\frac{2}{4}", (r"\frac{1}{2}",))
    assert [score.outcome for score in scores] == ["correct", "unparsed", "wrong"]


def test_diversity_is_held_against_the_references_and_blank_is_no_answer():
    seen = []

    def judge(cases):
        seen.extend(cases)
        return [0.3]

    rows = [item("generation_diversity")] * 2
    scores = score_items(rows, [Gold(("a", "b"))] * 2, ["new", " "], {"embedding_model": judge})
    assert seen == [Case("Why? Please.", "new", ("a", "b"))]
    assert [score.outcome for score in scores] == ["scored", "unparsed"]


def test_groups_do_not_touch_unbounded_scores_but_bind_verdicts():
    judges = {"reward_model": lambda cases: [-1.0, 5.0], "verifier": lambda cases: [1.0, 0.0]}
    for kind, expected in (("reward_model", [-1.0, 5.0]), ("general_verifier", [0.0, 0.0])):
        rows = [item(kind, question, group="g") for question in ("Why?", "How?")]
        scores = score_items(rows, [Gold(("x",))] * 2, ["a", "b"], judges)
        assert [score.value for score in scores] == expected


def test_a_judge_that_gives_too_few_values_is_named():
    with pytest.raises(ValueError, match="reward_model gave 1 values for 2 cases"):
        score_items(
            [item("reward_model")] * 2, [Gold(())] * 2, ["a", "b"], {"reward_model": lambda c: [1]}
        )


@pytest.mark.parametrize(
    ("row", "question", "answer"),
    [
        ({"input": "1+1?", "output": "2"}, "1+1?", ("2",)),
        ({"question": "1+1?", "answer": 2}, "1+1?", ("2",)),
        ({"prompt": "1+1?", "answer": [1, "b"]}, "1+1?", ("1, b",)),
        ({"input": "1+1?", "output": '["2", "two"]'}, "1+1?", ("2", "two")),
        (
            {"question": "1+1?", "choices": {"A": "3", "B": "2"}, "answer": "B"},
            "1+1?\nA) 3\nB) 2",
            ("2",),
        ),
    ],
)
def test_a_verifier_takes_rows_of_every_kind(row, question, answer):
    content = SCORERS["general_verifier"].read(row)
    assert (content.question, content.gold.answers) == (question, answer)


def test_rows_without_an_answer_are_left_out_or_named():
    read = SCORERS["general_verifier"].read
    assert read({"input": "1+1?", "output": None}).gold is None
    assert read({"question": "?", "choices": {"A": "3", "B": "2"}, "answer": None}).gold is None
    with pytest.raises(ValueError, match="'output'"):
        read({"input": "1+1?"})
    with pytest.raises(ValueError, match="'input'"):
        read({"output": "2"})
    with pytest.raises(ValueError, match="'reference'"):
        SCORERS["generation_diversity"].read({"input": "x", "reference": []})


@pytest.mark.parametrize(
    "name", ["alpacaeval", "infinite_chat_diversity", "scitarc", "apex_shortlist", "value_drifts"]
)
def test_the_reference_s_files_load(shared_dir, name):
    task = load_task(name, data_dir=shared_dir / "data")
    assert task.kind in JUDGED
    assert task.left_out == {"dev": 0, "test": 0}


@pytest.mark.parametrize(
    ("kind", "row", "field"),
    [
        ("reward_model", {"output": "x"}, "input"),
        ("text_generation", {"input": 3}, "input"),
        ("general_verifier", {"input": "x"}, "output"),
        ("generation_diversity", {"input": "x", "reference": "y"}, "reference"),
    ],
)
def test_a_row_that_breaks_the_format_is_named_with_file_row_and_field(tmp_path, kind, row, field):
    good = {"input": "x", "output": "y", "reference": ["z"]}
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"task_type": kind, "dev": [good], "test": [good, row]}))
    with pytest.raises(ValueError, match=rf"mine\.json: test row 1.*'{field}'"):
        load_task(path)


def test_a_role_that_is_none_is_told():
    with pytest.raises(ValueError, match="no judge called 'reward'; the roles are reward_model"):
        score_items([item("reward_model")], [Gold(())], ["x"], {"reward": lambda cases: [1.0]})
