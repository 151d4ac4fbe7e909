"""Starting sandboxes from the library: several at a time, each watched until it has ended."""

import dataclasses
import functools
import json
import os
import pathlib
import secrets
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from absl import logging

from moco_jax.tasks.sandbox.gpu import PROBE, Gpu, find_gpu
from moco_jax.tasks.sandbox.program import Limits, Program, Result, SandboxError
from moco_jax.tasks.sandbox.watching import Seen, watch

RunPrograms = Callable[[Sequence[Program]], list[Result]]
"""Runs programs and gives one result each, in order; `run_programs` is the usual one."""

INSIDE = pathlib.Path(__file__).with_name("inside")
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")
BOX = "/box"
HOMES = ("HOME", "TMPDIR", "TORCH_EXTENSIONS_DIR", "TRITON_CACHE_DIR")  # of who compiles
NO_GPU = Gpu((), (), (), {})
SHOWN = 2000  # characters of output that a result keeps
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",  # so that what depends on the order of a set comes out the same
    "PYTHONUTF8": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
REMEDY = (
    "Programs written by models are run only in namespaces of their own. Enable user namespaces: "
    "sysctl user.max_user_namespaces above 0; on Ubuntu also "
    "kernel.apparmor_restrict_unprivileged_userns=0; in Docker --security-opt "
    "seccomp=unconfined --security-opt systempaths=unconfined. Or pass allow_weak_sandbox "
    "(--allow_weak_sandbox) where everything you can reach may be lost: then programs are stopped "
    "by limits on time, memory and output alone, and can read and write what you can, reach the "
    "network and leave processes behind"
)
GPU_REMEDY = (
    "docs/sandbox.md lists what of the GPU is shown there. On a machine kept for such measurements "
    "pass allow_weak_sandbox (--allow_weak_sandbox): then programs written by models can read and "
    "write what you can, and reach the network"
)


def run_programs(
    programs: Sequence[Program], *, allow_weak_sandbox: bool = False, workers: int | None = None
) -> list[Result]:
    """Runs programs, as many at a time as there are cores.

    Args:
        programs: what to run; they share nothing and cannot meet.
        allow_weak_sandbox: go on, with a warning, where the system gives no namespaces.
        workers: programs at a time; None means the cores this process may use, and one if a
            program measures code on a GPU.

    Raises:
        SandboxError: the system gives no namespaces and `allow_weak_sandbox` is off.
    """
    if not programs:
        return []
    alone = any(program.gpu for program in programs)
    isolate = _isolates(allow_weak_sandbox, alone)
    workers = workers or (1 if alone else len(os.sched_getaffinity(0)))
    with ThreadPoolExecutor(workers, thread_name_prefix="sandbox") as pool:
        return list(pool.map(functools.partial(_run, isolate=isolate), programs))


def require_sandbox(gpu: bool = False) -> None:
    """Raises a SandboxError, with the remedy, where programs cannot be isolated.

    Args:
        gpu: they measure code on a GPU, which must be usable from inside.
    """
    reason = _weakness()
    if reason is not None:
        raise SandboxError(f"no sandbox on this machine: {reason}. {REMEDY}")
    reason = _gpu_weakness() if gpu else None
    if reason is not None:
        raise SandboxError(f"the GPU cannot be used inside the sandbox: {reason}. {GPU_REMEDY}")


def _isolates(allow_weak_sandbox: bool, gpu: bool) -> bool:
    if not allow_weak_sandbox:
        require_sandbox(gpu)
        return True
    reason = _weakness() or (_gpu_weakness() if gpu else None)
    if reason is not None:
        logging.warning(
            "no sandbox on this machine (%s): programs can read and write what you can, reach the "
            "network and leave processes behind",
            reason,
        )
    return reason is None


@functools.cache
def _weakness() -> str | None:
    """Why programs cannot be isolated here, found by trying; None where they can."""
    if not sys.platform.startswith("linux"):
        return f"namespaces are a part of Linux, this is {sys.platform}"
    limits = Limits(processes=6)
    try:
        probe = _run(Program((_FORK,), "forked", limits), isolate=True)
    except SandboxError as error:
        return str(error)
    if probe.status != "finished":
        return f"a program that should finish {probe.status}: {probe.output.strip()}"
    if probe.value >= limits.processes:
        return "the number of processes cannot be limited"
    return None


@functools.cache
def _gpu_weakness() -> str | None:
    """Why CUDA cannot be used inside, found by trying; None where it can."""
    if not find_gpu().devices:
        return "this machine has no /dev/nvidia0 or the like"
    limits = Limits(memory_bytes=1 << 44, processes=256, descriptors=1024)
    probe = _run(Program((PROBE,), "None", limits, gpu=True), isolate=True)
    return None if probe.status == "finished" else f"CUDA {probe.status}: {probe.output.strip()}"


_FORK = """\
forked = 0
while forked < 20:
    try:
        child = os.fork()
    except OSError:
        break
    if child == 0:
        import time
        time.sleep(60)
    forked += 1
"""


def _run(program: Program, *, isolate: bool) -> Result:
    """Runs one program in a process of its own and waits until nothing of it is left."""
    token = secrets.token_hex(32)
    gpu = find_gpu() if program.gpu else NO_GPU
    job = {
        "token": token,
        "isolate": isolate,
        "parts": program.parts,
        "expression": program.expression,
        "limits": dataclasses.asdict(program.limits),
        "binds": _binds(gpu.places),
        "devices": gpu.devices,
        "proc": gpu.proc,
        "paths": _import_paths(),
    }
    with tempfile.TemporaryDirectory(prefix="moco-") as folder:
        home = {name: BOX if isolate else folder for name in HOMES if program.gpu}
        environment = ENVIRONMENT | gpu.environment | home
        seen = _launch(json.dumps(job).encode(), folder, environment, program.limits, token)
    return _result(seen, token)


def _launch(
    job: bytes, folder: str, environment: dict[str, str], limits: Limits, token: str
) -> Seen:
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(
            # No site, no user's site, no current folder: the worker adds what may be imported.
            [sys.executable, "-s", "-S", "-P", str(INSIDE), str(writing)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            pass_fds=(writing,),
            start_new_session=True,
        )
    finally:
        os.close(writing)
    try:
        return watch(process, job, reading, limits, token)
    finally:
        os.close(reading)


def _result(seen: Seen, token: str) -> Result:
    """Reads what came on the result pipe: `started`, and the value if the program got that far."""
    lines = [line for line in seen.told.decode(errors="replace").split("\n") if line]
    words = [line.removeprefix(token) for line in lines if line.startswith(token)]
    output = seen.output.decode(errors="replace")[-SHOWN:]
    for word in words:
        if word.startswith("refused "):
            raise SandboxError(json.loads(word.removeprefix("refused "))["refused"])
    if "started" not in words:
        raise SandboxError(f"the sandbox did not start: {output.strip() or 'it took too long'}")
    if seen.broken is not None:
        return Result(seen.broken, None, output)
    if words[-1] == "started":
        return Result("died", None, output)
    return Result("finished", json.loads(words[-1]), output)


@functools.cache
def _binds(more: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """(real path, path inside) of the Python installation, the libraries it links to, and more."""
    found: list[tuple[str, str]] = []
    for path in sorted({*_import_paths(), *LIBRARIES, *_own_libraries(), *more}):
        covered = any(path.startswith(inside + "/") for _, inside in found)
        if os.path.exists(path) and not covered:
            found.append((os.path.realpath(path), path))
    return found


@functools.cache
def _import_paths() -> list[str]:
    """Where the standard library and installed packages are."""
    places = sysconfig.get_paths()
    standard = places["stdlib"]
    names = [standard, os.path.join(standard, "lib-dynload")]
    names += [places["platstdlib"]] * (places["platstdlib"] == standard)
    return list(dict.fromkeys([*names, places["purelib"], places["platlib"]]))


def _own_libraries() -> list[str]:
    """The library folder of a Python that is not the system's, as conda's modules need it."""
    folder: Any = sysconfig.get_config_var("LIBDIR")
    return [folder] if folder and folder.startswith(sys.base_prefix + "/") else []
