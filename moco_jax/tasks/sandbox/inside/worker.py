"""The process in which a program runs: limits first, then its parts, then the token."""

import json
import os
import resource
import sys
import traceback
import types
from typing import Any

import kernel


def work(job: dict[str, Any], result: int, user: int | None) -> None:
    """Runs the program of a job and ends this process; the token is written only at the end.

    Args:
        job: what the runner sent.
        result: descriptor that the token goes to.
        user: id to become, None to stay who we are.
    """
    code = 1
    try:
        _limit(job["limits"], job["isolate"])
        _close_all_but(result)
        if user is not None:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        if job["isolate"]:
            kernel.drop_privileges()
        sys.path[:] = job["paths"]
        os.write(result, job["token"].encode() + b"started\n")
        value = json.dumps(_run(job["parts"], job["expression"]))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        _flush()
        if code == 0:
            _write_all(result, job["token"].encode() + value.encode() + b"\n")
        os._exit(code)


def _limit(limits: dict[str, Any], isolate: bool) -> None:
    """Sets the limits; without namespaces the user's other processes would count as well."""
    for name, value in (
        (resource.RLIMIT_CPU, limits["cpu_seconds"]),
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        *([(resource.RLIMIT_NPROC, limits["processes"])] if isolate else []),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, limits["descriptors"]),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(name)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (value, value))


def _close_all_but(result: int) -> None:
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.closerange(3, result)
    os.closerange(result + 1, 65536)


def _run(parts: list[str], expression: str) -> Any:
    """Parts and expression in one module; each part is compiled alone, for `__future__`'s sake."""
    module = types.ModuleType("solution")
    module.__dict__.update(sys=sys, os=os)
    sys.modules["solution"] = module
    for number, part in enumerate(parts):
        exec(compile(part, f"<part {number}>", "exec", dont_inherit=True), module.__dict__)
    return eval(compile(expression, "<check>", "eval", dont_inherit=True), module.__dict__)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # whatever the program has put in the stream's place
            continue


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
