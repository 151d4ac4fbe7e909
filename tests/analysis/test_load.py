import json
import pathlib
import shutil
from collections.abc import Callable

import pytest

from moco_jax.analysis.load import load_run, load_runs, load_task_of
from moco_jax.tasks import Task


def test_a_run_is_read_whole(make_run: Callable[..., pathlib.Path], task: Task) -> None:
    run = load_run(make_run(flops=2e9))
    assert len(run.answers) == len(task.test) == len(run.transcripts)
    assert sum(run.scores) / len(run.scores) == pytest.approx(run.result.score)
    assert sum(run.best_single) / len(run.best_single) == pytest.approx(run.result.best_single.test)
    assert run.item_cost() == {"prompt_tokens": 80, "new_tokens": 12, "flops": 2e9}
    assert run.fit_cost()["flops"] == 5e9


def test_foreign_and_unfinished_files_are_passed_over(
    make_run: Callable[..., pathlib.Path], tmp_path: pathlib.Path
) -> None:
    good, out = make_run(), tmp_path / "runs"
    shutil.copytree(make_run("api_cascade"), out / "other.unfinished")
    (out / "notes").mkdir()
    (out / "notes" / "result.json").write_text('{"mine": 1}')
    (out / "store.sqlite").write_text("")
    names = [run.directory.name for run in load_runs(out)]
    assert good.name in names
    assert not any("unfinished" in name or name == "notes" for name in names)


def test_a_folder_without_runs_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError, match="no finished run is in"):
        load_runs(tmp_path)


def test_damaged_files_are_named(make_run: Callable[..., pathlib.Path]) -> None:
    place = make_run()
    lines = (place / "singles.jsonl").read_text().splitlines()
    (place / "singles.jsonl").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(ValueError, match="do not fit together"):
        load_run(place)


def test_a_task_that_changed_is_not_believed(
    make_run: Callable[..., pathlib.Path], task: Task
) -> None:
    run = load_run(make_run())
    assert load_task_of(run).fingerprint == task.fingerprint
    record = json.loads(pathlib.Path(task.source).read_text())
    record["test"][0]["answer"] = "B"
    pathlib.Path(task.source).write_text(json.dumps(record))
    assert load_task_of(run) is None
    pathlib.Path(task.source).unlink()
    assert load_task_of(run) is None
