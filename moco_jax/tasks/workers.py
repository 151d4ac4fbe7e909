"""Work that may hang or grow, done by a process that can be killed: one JSON line in, one out."""

import atexit
import functools
import json
import os
import pathlib
import selectors
import subprocess
import sys
import threading
from typing import Any

START_SECONDS = 120.0
REQUESTS = 500  # per process; the caches of such libraries only grow


def worker(script: pathlib.Path, limit: float) -> "Worker":
    """The worker for a script, shared within this process."""
    return _shared(script, limit, os.getpid())


@functools.cache
def _shared(script: pathlib.Path, limit: float, process_id: int) -> "Worker":
    """One per process of ours: a fork must not use its parent's pipes."""
    found = Worker(script, limit)
    atexit.register(found.close)
    return found


class Worker:
    """A process that is started when needed, killed when slow and replaced when old.

    The script writes one line when it is ready, then reads one JSON value per line and answers each
    with one.

    Args:
        script: a Python file that imports nothing of this library.
        limit: wall-clock seconds per request.
        requests: how many a process answers before a new one takes over.
    """

    def __init__(self, script: pathlib.Path, limit: float, requests: int = REQUESTS) -> None:
        self._script = script
        self._limit = limit
        self._requests = requests
        self._left = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, request: Any) -> Any | None:
        """The script's answer; None where it takes too long or dies of the request."""
        with self._lock:
            if self._left <= 0:
                self._replace()
            self._left -= 1
            answer = self._exchange(json.dumps(request))
            if answer is None:
                self.close()
            return answer

    def close(self) -> None:
        """Kills the process; the next request starts another."""
        self._left = 0
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _replace(self) -> None:
        self.close()
        # -P keeps the script's folder, which has a numbers.py, off the path.
        command = [sys.executable, "-P", str(self._script)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        if self._read(START_SECONDS) is None:
            self.close()
            raise RuntimeError(
                f"a helper process did not start within {START_SECONDS:.0f} s; "
                f"see what it says: {' '.join(command)}"
            )
        self._left = self._requests

    def _exchange(self, line: str) -> Any | None:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            return None
        return self._read(self._limit)

    def _read(self, seconds: float) -> Any | None:
        assert self._process is not None and self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(seconds):
                return None
        line = self._process.stdout.readline()
        return json.loads(line) if line else None
