"""The run directory: written beside its place, and put there whole when everything is in it."""

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from moco_jax.runs.ledger import Ledger
from moco_jax.runs.processes import agreed, leads
from moco_jax.system import System

CONFIG, RESULT, LEDGER = "config.json", "result.json", "ledger.json"
RESPONSES, TRANSCRIPTS, SINGLES = "responses.jsonl", "transcripts.jsonl", "singles.jsonl"
HELPERS = "helpers.jsonl"
ARTIFACTS = "artifacts"
UNFINISHED, REPLACED = ".unfinished", ".replaced"
LOCK = ".lock"


class RunDirectory:
    """Where one run's files go. Of several processes only the first writes.

    Attributes:
        path: the finished directory; it exists only whole.
        work: the directory of a run that is going on or was interrupted.
    """

    def __init__(self, out: str | pathlib.Path, name: str):
        self.path = pathlib.Path(out) / name
        self.work = self.path.with_name(name + UNFINISHED)

    @property
    def finished(self) -> bool:
        """Whether the run's files are all there."""
        return agreed((self.path / RESULT).exists())

    @property
    def fitted(self) -> bool:
        """Whether an interrupted attempt got as far as a saved system."""
        return agreed((self.work / ARTIFACTS).is_dir())

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from working on the same run.

        Raises:
            RuntimeError: another process is at it.
        """
        if not leads():
            yield
            return
        self.work.mkdir(parents=True, exist_ok=True)
        with open(self.work / LOCK, "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RuntimeError(
                    f"another process is working on {self.work}; wait for it, or end it"
                ) from error
            yield

    def run(self) -> str:
        """Names the run, the same in all attempts for as long as it is unfinished."""
        return str(agreed(self._run() if leads() else None))

    def _run(self) -> str:
        path = self.work / LEDGER
        known = read_json(path).get("run") if path.exists() else None
        if not known:
            known = uuid.uuid4().hex[:12]
            write_json(path, Ledger(known).to_json())
        return known

    def tidy(self) -> None:
        """Drops the run that this one replaced, where a kill left it."""
        if leads():
            shutil.rmtree(self._old, ignore_errors=True)

    def forget_fit(self) -> None:
        """Drops the system of an interrupted attempt, so that it is fitted again."""
        if leads():
            shutil.rmtree(self.work / ARTIFACTS, ignore_errors=True)

    def drop(self) -> None:
        """Drops the unfinished directory."""
        if leads():
            shutil.rmtree(self.work)

    def save_fit(self, system: System, ledger: dict[str, Any]) -> None:
        """Keeps a fitted system and what it cost; both are there or neither."""
        self.write_json(LEDGER, ledger)
        if not leads():
            return
        draft = self.work / (ARTIFACTS + ".draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        system.save(draft)
        os.replace(draft, self.work / ARTIFACTS)

    def finish(self) -> None:
        """Puts the directory in its place; a finished one that stands there makes way."""
        if leads():
            self._move()
        agreed(None)  # nobody goes on before the directory is there

    def write_json(self, name: str, value: Any) -> None:
        """Writes a JSON file of the run."""
        if leads():
            write_json(self.work / name, value)

    def write_lines(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        """Writes a JSON-lines file of the run."""
        if leads():
            _write(self.work / name, (json.dumps(row) + "\n" for row in rows))

    @property
    def _old(self) -> pathlib.Path:
        return self.path.with_name(self.path.name + REPLACED)

    def _move(self) -> None:
        # Whatever a kill leaves here is no run to anybody; the next start goes on with `work`
        self.tidy()
        if self.path.exists():
            os.replace(self.path, self._old)
        (self.work / LOCK).unlink()
        os.replace(self.work, self.path)
        self.tidy()


def find_runs(out: str | pathlib.Path) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    """Finished and unfinished run directories in `out`, by name."""
    folders = sorted(path for path in pathlib.Path(out).glob("*") if path.is_dir())
    unfinished = [path for path in folders if path.name.endswith(UNFINISHED)]
    left = [path for path in folders if not path.name.endswith((UNFINISHED, REPLACED))]
    finished = [path for path in left if (path / RESULT).exists()]
    return finished, unfinished


def read_json(path: pathlib.Path) -> Any:
    """A JSON file's content; a missing one is named with what that means."""
    if not path.exists():
        hint = "the run did not finish" if UNFINISHED in str(path) else "it is no finished run"
        raise FileNotFoundError(f"{path} does not exist: {hint}")
    return json.loads(path.read_text())


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """The rows of a JSON-lines file."""
    with path.open() as lines:
        return [json.loads(line) for line in lines]


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes a JSON file; it is there whole or not at all."""
    _write(path, [json.dumps(value, indent=1) + "\n"])


def _write(path: pathlib.Path, parts: Iterable[str]) -> None:
    draft = path.with_name(path.name + ".draft")
    with draft.open("w") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
