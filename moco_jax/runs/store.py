"""The store: finished answers in one SQLite file that all runs of an out directory share."""

import hashlib
import json
import pathlib
import sqlite3
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from absl import logging

FILE_NAME = "store.sqlite"

WAIT_SECONDS = 60.0
"""How long a write waits for another process to finish its own."""

SCHEMA = "CREATE TABLE IF NOT EXISTS records (key TEXT PRIMARY KEY, body TEXT, checksum BLOB)"


class Size(NamedTuple):
    """How much a store holds: records, and bytes of their bodies."""

    records: int
    bytes: int


class SqliteStore:
    """Keeps records under keys; safe to share between processes and to kill at any moment.

    Every `put` is a transaction of its own in write-ahead mode: it outlives the death of the
    process. A power cut may lose the last few, which are then simply computed again; it cannot
    damage the file. A record whose checksum does not fit its body counts as absent and is
    reported; the next `put` of its key mends it.
    """

    def __init__(self, path: str | pathlib.Path):
        self.path = pathlib.Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Autocommit: one statement, one transaction.
            self._database = sqlite3.connect(self.path, timeout=WAIT_SECONDS, isolation_level=None)
            _write_ahead(self._database)
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute(SCHEMA)
        except sqlite3.OperationalError as error:
            raise OSError(f"cannot open the store {self.path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"{self.path} is no store ({error}); move it away, and answers are computed again"
            ) from error

    def get(self, key: str) -> dict[str, Any] | None:
        """The record under `key`; None where there is none, or a damaged one."""
        row = self._database.execute(
            "SELECT body, checksum FROM records WHERE key = ?", (key,)
        ).fetchone()
        if row is None:
            return None
        body, checksum = row
        if checksum != _checksum(key, body):
            logging.warning("%s: record %s is damaged and is computed again", self.path, key)
            return None
        return json.loads(body)

    def put(self, key: str, record: dict[str, Any]) -> None:
        """Keeps a JSON-able record; it is committed when this returns."""
        body = json.dumps(record, separators=(",", ":"))
        self._database.execute(
            "INSERT OR REPLACE INTO records VALUES (?, ?, ?)", (key, body, _checksum(key, body))
        )

    def size(self) -> Size:
        """Records and bytes held."""
        query = "SELECT COUNT(*), COALESCE(SUM(LENGTH(CAST(body AS BLOB))), 0) FROM records"
        return Size(*self._database.execute(query).fetchone())

    def verify(self) -> list[str]:
        """Keys of damaged records, sorted."""
        return sorted(
            key for key, body, checksum in self._rows() if checksum != _checksum(key, body)
        )

    def clear(self) -> None:
        """Forgets everything and gives the space back."""
        self._database.execute("DELETE FROM records")
        self._database.execute("VACUUM")

    def close(self) -> None:
        """Closes the file; the store cannot be used afterwards."""
        self._database.close()

    def __enter__(self) -> "SqliteStore":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _rows(self) -> Iterator[tuple[str, Any, bytes]]:
        return iter(self._database.execute("SELECT key, body, checksum FROM records"))


def _write_ahead(database: sqlite3.Connection) -> None:
    """Switches to write-ahead mode.

    SQLite waits by itself for other writers, but not for one that is switching the same new file.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            database.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def _checksum(key: str, body: Any) -> bytes:
    """8 bytes over key and body; a body that is no longer text fits none."""
    if not isinstance(body, str):
        return b""
    return hashlib.blake2b(f"{key} {body}".encode(), digest_size=8).digest()
