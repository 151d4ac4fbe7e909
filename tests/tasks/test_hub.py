"""Tasks read by `datasets`, from local folders here; the hub itself is the same call."""

import json

import pytest

from moco_jax.tasks import hub, load_task

ROWS = [{"ask": f"{i} + 1?", "say": str(i + 1), "n": i} for i in range(6)]


@pytest.fixture(autouse=True)
def _offline(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def write(folder, rows, split, form="parquet"):
    from datasets import Dataset

    folder.mkdir(exist_ok=True)
    table = Dataset.from_list(rows)
    if form == "parquet":
        table.to_parquet(str(folder / f"{split}-00000-of-00001.parquet"))
    else:
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text(lines)
    return folder


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_columns_splits_and_slices(tmp_path, form):
    folder = write(tmp_path / "sums", ROWS, "train", form)
    name = f"hub:{folder}?dev=train[:2]&test=train[2:]&kind=exact_match&input=ask&output=say"
    task = load_task(name)
    assert (task.name, task.kind, len(task.dev), len(task.test)) == ("sums", "exact_match", 2, 4)
    assert task.source == name
    assert task.test.items[0].question == "2 + 1?"
    assert task.score("test", ["3", "\\boxed{4}", "9", ""])[1].value == 1.0
    assert load_task(name).fingerprint == task.fingerprint
    assert load_task(name, ratio=0.5).fingerprint != task.fingerprint


def test_options_as_lists_and_as_pairs_become_letters(tmp_path):
    lists = [{"question": "x?", "choices": ["a", "b", "c"], "answer": 2}]
    pairs = [
        {"question": "y?", "choices": {"text": ["u", "v"], "label": ["1", "2"]}, "answer": "2"}
    ]
    for name, rows, letter in (("lists", lists, "C"), ("pairs", pairs, "B")):
        folder = tmp_path / name
        for split in ("train", "test"):
            write(folder, rows, split)
        task = load_task(f"hub:{folder}?dev=train&kind=multiple_choice")
        assert task.test.golds[0].answers == (letter,)


def test_one_row_that_is_a_whole_task(tmp_path):
    rows = [{"input": "1+1?", "output": "2"}]
    whole = [{"name": "w", "task_type": "exact_match", "dev": rows, "test": rows * 2}]
    task = load_task(f"hub:{write(tmp_path / 'whole', whole, 'train')}")
    assert (task.kind, len(task.dev), len(task.test)) == ("exact_match", 1, 2)


def test_what_is_missing_is_named_with_what_there_is(tmp_path):
    folder = write(tmp_path / "sums", ROWS, "train")
    with pytest.raises(ValueError, match=r"(?s)split 'dev'.*the splits train.*dev=train\[:200\]"):
        load_task(f"hub:{folder}?kind=exact_match")
    slices = "dev=train[:2]&test=train[2:]&kind=exact_match"
    with pytest.raises(ValueError, match=r"column 'question'.*ask, say, n"):
        load_task(f"hub:{folder}?{slices}&input=question")
    with pytest.raises(ValueError, match=r"sums.*dev row 0.*field 'input' is missing"):
        load_task(f"hub:{folder}?{slices}&output=say")
    with pytest.raises(ValueError, match="cannot be loaded"):
        load_task(f"hub:{tmp_path}/nowhere?kind=exact_match")
    with pytest.raises(ValueError, match="names no dataset"):
        hub.parse("hub:")
    with pytest.raises(ValueError, match="name=value pairs"):
        hub.parse("hub:a/b?dev")


def test_a_hub_that_cannot_be_reached_is_asked_once(tmp_path, monkeypatch, caplog):
    import datasets
    from huggingface_hub import constants

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "_reachable", lambda: False)
    seen = []

    def load(*args, **settings):
        seen.append((constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE))
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(ValueError, match=r"'org/name' could not be found.*Check the name and"):
        load_task("hub:org/name?dev=train&kind=exact_match")
    assert seen == [(True, True)]
    assert (constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE) == (False, False)
    # What lies in a folder is read as ever
    monkeypatch.undo()
    folder = write(tmp_path / "sums", ROWS, "train")
    monkeypatch.setattr(hub, "_reachable", lambda: 1 / 0)
    task = load_task(
        f"hub:{folder}?dev=train[:2]&test=train[2:]&kind=exact_match&input=ask&output=say"
    )
    assert len(task.test) == 4
