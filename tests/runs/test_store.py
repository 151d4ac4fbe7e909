"""The store: durable, checked, and shared."""

import signal
import sqlite3
import subprocess
import sys

import pytest

from moco_jax.runs import store
from moco_jax.runs.store import SqliteStore


def test_records_come_back_exactly(tmp_path):
    record = {"text": "ünïcode \n", "logprobs": [-0.1, -1e-300, 1 / 3], "tokens": [1, 2]}
    with SqliteStore(tmp_path / "deep" / "store.sqlite") as kept:
        assert kept.get("a") is None
        kept.put("a", record)
    with SqliteStore(tmp_path / "deep" / "store.sqlite") as kept:
        assert kept.get("a") == record
        assert kept.size().records == 1
        assert kept.size().bytes > 10
        kept.clear()
        assert kept.size() == (0, 0)


def test_damaged_records_are_absent_and_reported(tmp_path, caplog):
    path = tmp_path / "store.sqlite"
    kept = SqliteStore(path)
    for key in "abc":
        kept.put(key, {"text": key})
    with sqlite3.connect(path) as other:
        other.execute("UPDATE records SET body = '{\"text\":\"x\"}' WHERE key = 'b'")
        other.execute("UPDATE records SET body = NULL WHERE key = 'c'")
    assert kept.verify() == ["b", "c"]
    assert kept.get("a") == {"text": "a"}
    assert kept.get("b") is None
    assert kept.get("c") is None
    assert "damaged" in caplog.text
    kept.put("b", {"text": "b"})
    assert kept.verify() == ["c"]


def test_a_record_under_another_key_is_damaged(tmp_path):
    path = tmp_path / "store.sqlite"
    kept = SqliteStore(path)
    kept.put("a", {"text": "a"})
    with sqlite3.connect(path) as other:
        other.execute("UPDATE records SET key = 'b'")
    assert kept.verify() == ["b"]


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "store.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(ValueError, match="is no store"):
        SqliteStore(path)


# The module alone, in a process of its own: it starts faster than the package.
PROGRAM = """
import importlib.util, os, signal, sys
module, path, name, count = sys.argv[1:]
spec = importlib.util.spec_from_file_location("store", module)
store = importlib.util.module_from_spec(spec)
spec.loader.exec_module(store)
kept = store.SqliteStore(path)
for index in range(int(count)):
    kept.put(f"{name}/{index}", {"text": name * 50, "index": index})
os.kill(os.getpid(), signal.SIGKILL)
"""


def writer(path, name, count):
    command = [sys.executable, "-c", PROGRAM, store.__file__, str(path), name, str(count)]
    return subprocess.Popen(command)


def test_two_processes_write_at_once_and_die(tmp_path):
    path = tmp_path / "store.sqlite"
    writers = [writer(path, name, 150) for name in "ab"]
    assert [process.wait() for process in writers] == [-signal.SIGKILL] * 2
    with SqliteStore(path) as found:
        assert found.size().records == 300
        assert found.verify() == []
        assert found.get("b/149") == {"text": "b" * 50, "index": 149}
