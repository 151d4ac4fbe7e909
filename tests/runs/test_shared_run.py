"""Two processes of one run: the first writes, and both find the same."""

import json
import pathlib
import socket
import subprocess
import sys

import pytest

from moco_jax.runs import find_runs
from moco_jax.runs.processes import SharedStore, agreed, join_processes


def free_port():
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return str(one.getsockname()[1])


def texts(directory):
    lines = (pathlib.Path(directory) / "responses.jsonl").read_text().splitlines()
    return [json.loads(line)["response"] for line in lines]


def said(ended, word):
    lines = [[line for line in out.splitlines() if line.startswith(word)] for out, _ in ended]
    return [found[-1].split()[1:] for found in lines]


def test_two_processes_make_one_run(tmp_path):
    script = str(pathlib.Path(__file__).parent / "shared_run.py")
    port = free_port()
    processes = [
        subprocess.Popen(
            [sys.executable, script, port, str(index), str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    ended = [process.communicate(timeout=240) for process in processes]
    assert all(process.returncode == 0 for process in processes), ended
    (score, found_again, place), second = said(ended, "RESULT")
    assert second == [score, found_again, place]
    assert found_again == "True"
    dealt, other = said(ended, "DEALT")
    assert dealt == other
    assert dealt[1] != place
    assert texts(dealt[1]) == texts(place)
    finished, unfinished = find_runs(tmp_path)
    assert sorted(map(str, finished)) == sorted([place, dealt[1]])
    assert unfinished == []


def test_processes_that_cannot_be_joined_are_refused():
    join_processes("", 1, 0)
    with pytest.raises(ValueError, match="no process 2 of 2"):
        join_processes("localhost:1", 2, 2)
    with pytest.raises(ValueError, match="find each other at HOST:PORT"):
        join_processes("localhost", 2, 0)


def test_alone_everything_is_as_it_is(tmp_path):
    value = {"text": "a", "numbers": [1, 2.5]}
    assert agreed(value) is value
    store = SharedStore(None)
    store.put("a", value)
    assert store.get("a") is None
