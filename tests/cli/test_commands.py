import csv
import io
import json
import os
import pathlib
import re
import time
from collections.abc import Callable

import pytest

from moco_jax.decoding.engine import Engine
from moco_jax.runs import execution

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
    first = err.splitlines()[0]
    assert first.startswith("moco: text_majority_vote on ") and "seed 42" in first
    assert out.startswith("text_majority_vote on ") and "best single" in out
    assert "finished before; --new computes it again" in out
    assert "%|" not in err


class MadeUp(Engine):
    """Writes the same for everybody, without devices."""

    def _decode(self, call, plan, places, width):
        record = {"text": "A", "reasoning": "", "finish": "stop", "tokens": [1]}
        for index in range(len(places)):
            yield index, {**record, "logprobs": [-1.0]}


@pytest.mark.parametrize("drift", [-3600.0, 3600.0])
def test_a_run_was_finished_before_if_it_was_not_computed_whatever_the_clock_says(
    moco: Moco,
    tmp_path: pathlib.Path,
    models: list[str],
    task_file: str,
    monkeypatch: pytest.MonkeyPatch,
    drift: float,
) -> None:
    monkeypatch.setattr(execution, "Engine", MadeUp)
    words = ["run", "--method=best_on_dev", f"--task={task_file}", f"--models={','.join(models)}"]
    words += [f"--out={tmp_path}", NO_CACHE]
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + drift)
    assert "finished before" not in moco(*words)[1]
    path = only_run(tmp_path) / "result.json"
    os.utime(path, (clock() + drift, clock() + drift))
    assert "this run was finished before; --new computes it again" in moco(*words)[1]
    assert "finished before" not in moco(*words, "--new")[1]


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


def test_a_method_that_fails_in_a_comparison_is_a_row(
    moco: Moco, tmp_path: pathlib.Path, models: list[str], task_file: str
) -> None:
    broken = tmp_path / "mine.py"
    broken.write_text(BROKEN)
    flags = [
        f"--methods={broken}:Broken,best_on_dev,single_model",
        f"--tasks={task_file}",
        f"--models={','.join(models)}",
        "--max_new_tokens=4",
        f"--out={tmp_path / 'runs'}",
        NO_CACHE,
    ]
    code, out, err = moco("compare", *flags)
    assert code == 1
    assert re.search(r"^colours +●? +best_on_dev ", out, re.MULTILINE)
    assert f"broken on colours: failed: IndexError: of mine ({broken}:10), seed 42" in out
    before, said, _ = err.partition("members alone")
    assert said and "not run: single_model on colours: single_model takes at most 1" in before
    with pytest.raises(IndexError, match="of mine"):
        moco("compare", "--fail_fast", *flags)


BROKEN = """
import dataclasses
from typing import ClassVar
import moco_jax as moco

@dataclasses.dataclass(frozen=True)
class Broken(moco.Method):
    name: ClassVar[str] = "broken"
    def fit(self, bench):
        raise IndexError("of mine")
"""


def test_what_a_comparison_leaves_out_is_said_at_its_start(
    moco: Moco,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
    models: list[str],
    task_file: str,
) -> None:
    from moco_jax.analysis import sweep

    def stop(*_: object, **__: object) -> None:
        raise ValueError("here the runs would begin")

    monkeypatch.setattr(sweep, "compare", stop)
    flags = [f"--tasks={task_file}", f"--models={','.join(models)}", f"--out={tmp_path}", NO_CACHE]
    code, _, err = moco("compare", "--methods=all", *flags)
    assert code == 2
    before = err.partition("here the runs would begin")[0]
    for method, field in (("weight_ties", "base_model"), ("text_structure", "structure_type")):
        assert f"not run: {method}: {method} needs {field}" in before


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
    code, out, _ = moco("ask", run, "Which?\nA) red\nB) green", "--transcript", NO_CACHE)
    assert code == 0
    assert "A) red" in out
    assert "(answer)" in out
    # The run votes, and there is nothing to vote on
    code, _, err = moco("ask", run, "red or green?", NO_CACHE)
    assert code == 2
    assert "has none: 'red or green?'; write each on a line of its own" in err


def test_ask_reads_lines(
    moco: Moco, finished: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("(A) red (B) green\n\nA) blue B) red\n"))
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
