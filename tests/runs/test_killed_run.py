"""A run killed at any moment and started again leaves the files of an unbroken one.

The kills are real SIGKILLs in processes of their own: while fitting, while answering, and between
the files.
"""

import json
import pathlib
import subprocess
import sys

import pytest

VOLATILE = {"seconds", "wall_seconds", "run"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    script = pathlib.Path(__file__).parent / "killed_run.py"
    done = subprocess.run(
        [sys.executable, str(script), str(folder)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return folder, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def lasting(value):
    """A JSON value without times and the run's own name."""
    if isinstance(value, dict):
        return {name: lasting(part) for name, part in value.items() if name not in VOLATILE}
    return [lasting(part) for part in value] if isinstance(value, list) else value


def contents(folder):
    (run_dir,) = [path for path in folder.iterdir() if path.is_dir()]
    files = [path for path in sorted(run_dir.rglob("*")) if path.is_file()]
    texts = {}
    for path in files:
        lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        texts[str(path.relative_to(run_dir))] = [lasting(json.loads(line)) for line in lines]
    return run_dir.name, texts


def test_attempts_died_while_fitting_and_while_answering(runs):
    _, attempts, stderr = runs
    assert not any(one["failed"] for one in attempts), stderr
    unbroken, *killed, last = attempts
    assert not unbroken["killed"] and not last["killed"]
    assert not unbroken["unfinished"] and not last["unfinished"]
    assert all(one["killed"] for one in killed)
    assert {one["fitted"] for one in killed} == {True, False}


def test_the_files_equal_an_unbroken_run_s(runs):
    folder, _, _ = runs
    name, files = contents(folder / "broken")
    other_name, other_files = contents(folder / "unbroken")
    assert name.rpartition("-")[0] == other_name.rpartition("-")[0]
    del files["config.json"][0]["config"]["out"], other_files["config.json"][0]["config"]["out"]
    assert name == other_name
    assert files.keys() == other_files.keys()
    for file in files:
        assert files[file] == other_files[file], file


def test_all_attempts_count(runs):
    folder, _, _ = runs
    totals = []
    for name in ("broken", "unbroken"):
        (path,) = (folder / name).glob("*/ledger.json")
        totals.append(json.loads(path.read_text())["total"])
    broken, unbroken = totals
    assert 0 < broken["spent"]["requests"] == unbroken["spent"]["requests"]
    assert broken["spent"]["seconds"] > 0
