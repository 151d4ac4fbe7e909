import csv
import io
import json
import pathlib
from collections.abc import Callable

import pytest

Moco = Callable[..., tuple[int, str, str]]
NO_CACHE = "--compilation_cache=none"


def only_run(folder: pathlib.Path) -> pathlib.Path:
    (found,) = [path.parent for path in folder.glob("*/result.json")]
    return found


def test_run_says_what_it_does_and_what_came_of_it(
    moco: Moco, finished: pathlib.Path, models: list[str], task_file: str
) -> None:
    code, out, err = moco(
        "run",
        "--method=text_majority_vote",
        f"--task={task_file}",
        f"--models={','.join(models)}",
        "--max_new_tokens=4",
        f"--out={finished}",
        NO_CACHE,
    )
    assert code == 0
    first, *rest = out.splitlines()
    assert first.startswith("moco: text_majority_vote on ") and "seed 42" in first
    assert any("best single" in line for line in rest)
    assert "finished before; --new computes it again" in out
    assert "%|" not in err


def test_the_references_command_line(
    moco: Moco, tmp_path: pathlib.Path, models: list[str], task_file: str
) -> None:
    config = {
        "method": "text_majority_vote",
        "task": task_file,
        "task_type": "multiple_choice",
        "gpu_ids": [0],
        "model_names": models,
        "hyperparameters": {"max_response_length": 4},
        "out": str(tmp_path / "runs"),
    }
    (tmp_path / "settings.json").write_text(json.dumps(config))
    logs = tmp_path / "new" / "logs"
    code, out, _ = moco("-c", str(tmp_path / "settings.json"), "-l", str(logs))
    assert code == 0, out
    (log,) = logs.iterdir()
    record = json.loads(log.read_text())
    assert record["method"] == "text_majority_vote"
    assert len(record["logs"]) == 8
    assert log.name.startswith("colours_2_")


def test_compare_is_one_table_with_reasons(
    moco: Moco, tmp_path: pathlib.Path, models: list[str], task_file: str
) -> None:
    code, out, err = moco(
        "compare",
        "--methods=text_majority_vote,self_consistency,single_model",
        f"--tasks={task_file}",
        f"--models={','.join(models)}",
        "--seeds=1,2",
        "--set",
        "self_consistency.samples=2",
        "--max_new_tokens=4",
        "--format=csv",
        f"--out={tmp_path}",
        NO_CACHE,
    )
    assert code == 0, err
    rows = {row["method"]: row for row in csv.DictReader(io.StringIO(out))}
    assert set(rows) == {"text_majority_vote", "self_consistency", "single_model"}
    assert rows["text_majority_vote"]["spread"]
    assert "at most 1 member" in rows["single_model"]["not_run_because"]
    assert "moco report" in err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--seeds=a"], "seeds are whole numbers"),
        (["--set=samples=2"], "write METHOD.samples=VALUE"),
        (["--set=other.samples=2"], "'other' is not among --methods=self_consistency"),
        (["--set=self_consistency.sample=2"], "did you mean samples"),
    ],
)
def test_mistakes_in_a_comparison(moco: Moco, flags: list[str], message: str) -> None:
    code, _, err = moco(
        "compare", "--methods=self_consistency", "--tasks=tiny_mix", "--models=x", *flags
    )
    assert code == 2
    assert message in err


def test_report_writes_a_page(moco: Moco, finished: pathlib.Path, tmp_path: pathlib.Path) -> None:
    page = tmp_path / "pages" / "report.html"
    code, out, _ = moco("report", str(finished), f"--html={page}")
    assert code == 0
    assert "text_majority_vote" in out and "best single" in out
    assert page.read_text().startswith("<!doctype html>")
    assert moco("report", str(only_run(finished)))[0] == 0


def test_ask_shows_answers_and_turns(moco: Moco, finished: pathlib.Path) -> None:
    run = str(only_run(finished))
    code, out, _ = moco("ask", run, "red or green?", "--transcript", NO_CACHE)
    assert code == 0
    assert "red or green?" in out
    assert "(answer)" in out


def test_ask_reads_lines(
    moco: Moco, finished: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("red or green?\n\nblue?\n"))
    code, out, _ = moco("ask", str(only_run(finished)), NO_CACHE)
    assert code == 0
    assert len(out.splitlines()) >= 2


def test_the_store_is_measured_checked_and_emptied(
    moco: Moco, finished: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "store.sqlite").write_bytes((finished / "store.sqlite").read_bytes())
    out_flag = f"--out={tmp_path}"
    assert "answers" in moco("cache", "size", out_flag)[1]
    assert "as they were written" in moco("cache", "verify", out_flag)[1]
    code, _, err = moco("cache", "clear", out_flag)
    assert code == 2 and "add --yes" in err
    assert moco("cache", "clear", "--yes", out_flag)[0] == 0
    assert " 0 answers" in moco("cache", out_flag)[1]
    assert moco("cache", "--out=/nowhere")[0] == 2


def test_lists_name_what_there_is(moco: Moco) -> None:
    from moco_jax.methods import METHODS

    _, out, _ = moco("list", "methods")
    assert {line.split()[0] for line in out.splitlines()[2:]} == set(METHODS)
    assert "tiny_mix" in moco("list", "tasks")[1]
    assert "LlamaForCausalLM" in moco("list", "architectures")[1]
    _, out, _ = moco("list", "settings", "--method=weight_ties")
    lines = out.splitlines()
    assert lines[:2] == ["weight_ties", "  base_model = (has to be given)"]
    assert "  density = 0.2" in lines
    assert moco("list", "settings", "--method=weight_tie")[0] == 2
