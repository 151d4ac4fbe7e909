"""Watching one sandbox: reading what it prints and tells, and ending it when it goes too far."""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass, field

from moco_jax.tasks.sandbox.program import Limits, Status

START_SECONDS = 60.0
CHUNK = 1 << 16
LONGEST_VALUE = 1 << 24  # bytes of a result


@dataclass
class Seen:
    """What came out of a sandbox.

    Attributes:
        told: bytes of the result pipe.
        output: bytes of stdout and stderr.
        broken: the limit for which it was ended.
    """

    told: bytearray = field(default_factory=bytearray)
    output: bytearray = field(default_factory=bytearray)
    broken: Status | None = None


def watch(
    process: "subprocess.Popen[bytes]", job: bytes, result: int, limits: Limits, token: str
) -> Seen:
    """Hands a launcher its job and reads both its pipes until they close or a limit breaks.

    The time of the program counts from the moment it starts. When this returns, the processes of
    the sandbox have been killed: its first one by us, the others by the system with that one.
    """
    assert process.stdin is not None and process.stdout is not None
    seen = Seen()
    try:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(job)
            process.stdin.close()
        _read(process.stdout.fileno(), result, seen, limits, token.encode() + b"started\n")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
    return seen


def _read(output: int, result: int, seen: Seen, limits: Limits, started: bytes) -> None:
    deadline, running = time.monotonic() + START_SECONDS, False
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ, seen.output)
        selector.register(result, selectors.EVENT_READ, seen.told)
        while selector.get_map():
            if time.monotonic() > deadline:
                seen.broken = "timeout"
                return
            for key, _ in selector.select(deadline - time.monotonic()):
                chunk = os.read(key.fd, CHUNK)
                key.data.extend(chunk)
                if not chunk:
                    selector.unregister(key.fd)
            if len(seen.output) > limits.output_bytes or len(seen.told) > LONGEST_VALUE:
                seen.broken = "flooded"
                return
            if not running and started in seen.told:
                deadline, running = time.monotonic() + limits.wall_seconds, True
