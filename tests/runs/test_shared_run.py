"""Two processes of one run: the first writes, and both find the same."""

import pathlib
import socket
import subprocess
import sys

from moco_jax.runs import find_runs
from moco_jax.runs.processes import SharedStore, agreed


def free_port():
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return str(one.getsockname()[1])


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
    lines = [
        [line for line in out.splitlines() if line.startswith("RESULT")][-1] for out, _ in ended
    ]
    assert lines[0] == lines[1]
    assert lines[0].split()[2] == "True"
    finished, unfinished = find_runs(tmp_path)
    assert [str(path) for path in finished] == [lines[0].split()[3]]
    assert unfinished == []


def test_alone_everything_is_as_it_is(tmp_path):
    value = {"text": "a", "numbers": [1, 2.5]}
    assert agreed(value) is value
    store = SharedStore(None)
    store.put("a", value)
    assert store.get("a") is None
