"""Files become tasks, or errors that name the file, the row and the field."""

import json

import pytest

from moco_jax.tasks import list_tasks, load_task

CHOICE_ROW = {"question": "Which is red? ", "choices": {"A": "sky", "B": "blood"}, "answer": "B"}
EXACT_ROW = {"input": "1+1=", "output": "2"}


def write(path, rows, kind="exact_match", **fields):
    path.write_text(json.dumps({"task_type": kind, "dev": rows, "test": rows, **fields}))
    return path


def test_prompts_are_the_templates_words(tmp_path):
    choice = load_task(write(tmp_path / "c.json", [CHOICE_ROW], "multiple_choice"))
    exact = load_task(write(tmp_path / "e.json", [EXACT_ROW]))
    assert choice.prompts("dev") == ["Which is red?\nA) sky\nB) blood\nAnswer with the letter."]
    assert choice.items("dev")[0].question == "Which is red?\nA) sky\nB) blood"
    assert exact.prompts("test") == ["1+1=\n\nPut the final answer in \\boxed{}."]


def test_items_are_addressed_by_split_and_row_and_hold_no_gold(tmp_path):
    rows = [EXACT_ROW, {"input": "?", "output": None}, EXACT_ROW]
    task = load_task(write(tmp_path / "t.json", rows))
    assert [item.id for item in task.items("test")] == ["test/0", "test/2"]
    assert task.left_out == {"dev": 1, "test": 1}
    assert not any(hasattr(item, "gold") or hasattr(item, "answer") for item in task.items("dev"))


def test_odd_keys_become_positions_and_null_options_text(tmp_path):
    rows = [
        {"question": "q", "choices": {"1": "x", "2": "y"}, "answer": "2"},
        {"question": "q", "choices": {"A": "x", "B": "y", "C": "z", "id": "w"}, "answer": "id"},
        {"question": "q", "choices": {"A": "x", "B": None}, "answer": "A"},
    ]
    task = load_task(write(tmp_path / "t.json", rows, "multiple_choice"))
    assert [gold.answers for gold in task.dev.golds] == [("B",), ("D",), ("A",)]
    assert task.dev.items[2].choices == ("x", "None")


def test_alias_lists_are_read_for_any_free_text_kind(tmp_path):
    rows = [{"input": "q", "output": '["Washington, D.C.", "DC"]'}, {"input": "q", "output": 7}]
    task = load_task(write(tmp_path / "t.json", rows))
    assert [gold.answers for gold in task.dev.golds] == [("Washington, D.C.", "DC"), ("7",)]
    numbers = load_task(write(tmp_path / "n.json", [{"input": "q", "output": "[1, 6]"}]))
    assert numbers.dev.golds[0].answers == ("[1, 6]",)


def test_ratio_keeps_the_front_of_both_splits_and_at_least_one(tmp_path):
    path = write(tmp_path / "t.json", [{"input": str(i), "output": "x"} for i in range(10)])
    assert [len(load_task(path, ratio=r).dev) for r in (1.0, 0.59, 0.01)] == [10, 5, 1]
    assert load_task(path, ratio=0.3).items("test") == load_task(path).items("test")[:3]
    with pytest.raises(ValueError, match="ratio"):
        load_task(path, ratio=0.0)


def test_a_fingerprint_follows_content_ratio_template_and_kind(tmp_path):
    path = write(tmp_path / "t.json", [EXACT_ROW] * 4)
    prints = [
        load_task(path, **settings).fingerprint
        for settings in (
            {},
            {"ratio": 0.5},
            {"prompt_template": "{question}!"},
            {"kind": "f1_match"},
        )
    ]
    assert len(set(prints)) == 4
    assert load_task(path).fingerprint == prints[0]
    write(path, [{"input": "1+1=", "output": "3"}] * 4)
    assert load_task(path).fingerprint != prints[0]


def test_a_template_of_ones_own(tmp_path):
    path = write(tmp_path / "c.json", [CHOICE_ROW], "multiple_choice")
    task = load_task(path, prompt_template="{choices}|{question}|\\box{{}}")
    assert task.prompts("dev") == ["A) sky\nB) blood|Which is red?|\\box{}"]
    braces = load_task(write(tmp_path / "b.json", [{"input": "{x}", "output": "1"}]))
    assert braces.prompts("dev")[0].startswith("{x}")
    for template, reason in (("{answer}", "answer"), ("{", "format"), ("{choices}", "question")):
        with pytest.raises(ValueError, match=reason):
            load_task(path, prompt_template=template)


@pytest.mark.parametrize(
    ("row", "kind", "reason"),
    [
        ({"input": "q"}, "exact_match", "'output'"),
        ({"input": 3, "output": "x"}, "exact_match", "'input'"),
        (CHOICE_ROW, "exact_match", "'input'"),
        (EXACT_ROW, "multiple_choice", "'question'"),
        ({**CHOICE_ROW, "answer": "Q"}, "multiple_choice", "'answer'"),
        ({**CHOICE_ROW, "choices": ["a", "b"]}, "multiple_choice", "'choices'"),
        ("text", "exact_match", "object"),
        ({"input": "q", "output": {"a": 1}}, "f1_match", "'output'"),
    ],
)
def test_a_broken_row_is_named(tmp_path, row, kind, reason):
    good = CHOICE_ROW if kind == "multiple_choice" else EXACT_ROW
    path = write(tmp_path / "mine.json", [good, row], kind)
    with pytest.raises(ValueError, match=rf"mine\.json: dev row 1.*{reason}"):
        load_task(path)


def test_files_that_are_no_tasks_are_refused(tmp_path):
    path = tmp_path / "t.json"
    for content, reason in (
        ("{", "JSON"),
        ("[]", "object"),
        ('{"dev": [], "test": []}', "task_type"),
        ('{"task_type": "exact_match", "dev": []}', "no row"),
        ('{"task_type": "exact_match"}', "list 'dev'"),
        ('{"task_type": "telepathy"}', "cannot be scored.*exact_match, f1_match"),
    ):
        path.write_text(content)
        with pytest.raises(ValueError, match=reason):
            load_task(path)


def test_json_lines_name_their_split(tmp_path):
    path = tmp_path / "t.jsonl"
    lines = [{**EXACT_ROW, "split": "dev"}, {**EXACT_ROW, "split": "test"}]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    assert load_task(path, kind="exact_match").items("test")[0].id == "test/0"
    path.write_text(json.dumps(EXACT_ROW))
    with pytest.raises(ValueError, match=r"line 1.*split"):
        load_task(path, kind="exact_match")


def test_an_unknown_name_offers_the_nearest_and_the_remedy(tmp_path):
    write(tmp_path / "gsm8k.json", [EXACT_ROW])
    assert load_task("gsm8k", data_dir=tmp_path).name == "gsm8k"
    with pytest.raises(ValueError, match="gsm8k"):
        load_task("gsm8", data_dir=tmp_path)
    with pytest.raises(ValueError, match="data_dir="):
        load_task("gsm8k_of_nowhere")
    with pytest.raises(ValueError, match="no task file"):
        load_task(tmp_path / "missing.json")


def test_the_list_says_what_is_present(tmp_path):
    write(tmp_path / "gsm8k.json", [EXACT_ROW])
    write(tmp_path / "mine.json", [EXACT_ROW] * 2, "f1_match")
    (tmp_path / "notes.json").write_text("[]")
    listed = {info.name: info for info in list_tasks(tmp_path)}
    assert (listed["gsm8k"].present, listed["gsm8k"].test) == (True, 1)
    assert (listed["mine"].kind, listed["mine"].dev) == ("f1_match", 2)
    assert (listed["medqa"].present, listed["medqa"].test) == (False, 637)
    assert "notes" not in listed


def test_every_reference_file_of_these_kinds_loads(shared_dir):
    data_dir = shared_dir / "data"
    kinds = ("multiple_choice", "exact_match", "f1_match")
    listed = [task for task in list_tasks(data_dir) if task.present and task.kind in kinds]
    assert len(listed) >= 30
    for info in listed:
        if (data_dir / f"{info.name}.json").exists():
            task = load_task(info.name, data_dir=data_dir)
            left_out = {"math": {"dev": 7, "test": 5}}.get(info.name, {"dev": 0, "test": 0})
            assert task.left_out == left_out
            assert len(task.dev) + left_out["dev"] == info.dev


ROW = {"input": "a?", "output": "b"}
SLIPS = {
    "list.json": ([ROW], r"task_type, dev and test, not a list; .*\.jsonl"),
    "kind.json": ({"task_type": "f1match", "dev": [ROW], "test": [ROW]}, "did you mean 'f1_match'"),
    "table.csv": ("input,output\na,b\n", r"must end in \.json or \.jsonl; CSV .*hub:"),
    "lines.jsonl": (json.dumps({"split": "dev", **ROW}) + "\n{oops}\n", "line 2 is not valid JSON"),
}


@pytest.mark.parametrize("name", SLIPS)
def test_what_a_tired_person_types(name, tmp_path):
    content, message = SLIPS[name]
    (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ValueError, match=message):
        load_task(tmp_path / name)


def test_names_are_offered_whatever_their_case(tmp_path):
    content = {"task_type": "f1_match", "dev": [ROW], "test": [ROW]}
    (tmp_path / "gsm8k.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"did you mean gsm8k\?"):
        load_task("GSM8K", data_dir=tmp_path)
    with pytest.raises(ValueError, match=r"assaybench.*Pass --task=hub:bunsenfeng/assaybench"):
        load_task("assaybench", data_dir=tmp_path)
    task = load_task("gsm8k", data_dir=tmp_path)
    with pytest.raises(ValueError, match="a list of texts, not one text"):
        task.score("test", "b")


def test_near_names_are_offered_with_the_way_to_get_them(tmp_path):
    for name in ("gsm8", "GSM8K", "gsm-8k"):
        with pytest.raises(
            ValueError, match=rf"unknown task '{name}': did you mean gsm8k.*download"
        ):
            load_task(name)
    with pytest.raises(ValueError, match=r"did you mean tiny_mix\?.*--data_dir=.*data_dir="):
        load_task("tiny_mux")
    with pytest.raises(ValueError, match=r"'mine': known are.*--data_dir holds no mine.json"):
        load_task("mine", data_dir=tmp_path)


def test_what_a_file_lacks_is_said_with_the_flag_that_mends_it(tmp_path):
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"dev": [EXACT_ROW], "test": [EXACT_ROW]}))
    with pytest.raises(ValueError, match="--kind=exact_match"):
        load_task(path)
    for dev in ({}, {"dev": []}):
        path.write_text(json.dumps({"task_type": "exact_match", "test": [EXACT_ROW], **dev}))
        with pytest.raises(ValueError, match="move some to dev"):
            load_task(path)
