"""The store: durable, checked, and shared."""

import multiprocessing
import os
import signal
import sqlite3

import pytest

from moco_jax.runs.store import SqliteStore


def test_records_come_back_exactly(tmp_path):
    record = {"text": "ünïcode \n", "logprobs": [-0.1, -1e-300, 1 / 3], "tokens": [1, 2]}
    with SqliteStore(tmp_path / "deep" / "store.sqlite") as store:
        assert store.get("a") is None
        store.put("a", record)
    with SqliteStore(tmp_path / "deep" / "store.sqlite") as store:
        assert store.get("a") == record
        assert store.size().records == 1
        assert store.size().bytes > 10
        store.clear()
        assert store.size() == (0, 0)


def test_damaged_records_are_absent_and_reported(tmp_path, caplog):
    path = tmp_path / "store.sqlite"
    store = SqliteStore(path)
    for key in "abc":
        store.put(key, {"text": key})
    with sqlite3.connect(path) as other:
        other.execute("UPDATE records SET body = '{\"text\":\"x\"}' WHERE key = 'b'")
        other.execute("UPDATE records SET body = NULL WHERE key = 'c'")
    assert store.verify() == ["b", "c"]
    assert store.get("a") == {"text": "a"}
    assert store.get("b") is None
    assert store.get("c") is None
    assert "damaged" in caplog.text
    store.put("b", {"text": "b"})
    assert store.verify() == ["c"]


def test_a_record_under_another_key_is_damaged(tmp_path):
    path = tmp_path / "store.sqlite"
    store = SqliteStore(path)
    store.put("a", {"text": "a"})
    with sqlite3.connect(path) as other:
        other.execute("UPDATE records SET key = 'b'")
    assert store.verify() == ["b"]


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "store.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(ValueError, match="is no store"):
        SqliteStore(path)


def _write(path, name, count):
    with SqliteStore(path) as store:
        for index in range(count):
            store.put(f"{name}/{index}", {"text": name * 50, "index": index})


def _write_and_die(path):
    store = SqliteStore(path)
    store.put("last", {"text": "words"})
    os.kill(os.getpid(), signal.SIGKILL)


def test_two_processes_write_at_once(tmp_path):
    path = tmp_path / "store.sqlite"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write, args=(path, name, 150)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    with SqliteStore(path) as store:
        assert store.size().records == 300
        assert store.verify() == []
        assert store.get("b/149") == {"text": "b" * 50, "index": 149}


def test_what_was_put_outlives_the_process(tmp_path):
    path = tmp_path / "store.sqlite"
    victim = multiprocessing.get_context("fork").Process(target=_write_and_die, args=(path,))
    victim.start()
    victim.join()
    assert victim.exitcode == -signal.SIGKILL
    with SqliteStore(path) as store:
        assert store.get("last") == {"text": "words"}
