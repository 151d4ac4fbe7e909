"""The file system a program sees: Python, the shared libraries, and one folder that vanishes."""

import contextlib
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import kernel

BASE = "/tmp"  # any folder that exists; it is covered only inside
OLD, NEW = "/old", "/new"
BOX = "/box"
PROC = "/proc"
DEVICES = ("/dev/null", "/dev/urandom")


def build(job: dict[str, Any], owner: int) -> None:
    """Replaces the file system of this mount namespace.

    Args:
        job: what the runner sent. Of `binds`, pairs of (real path outside, path inside), everything
            stays visible, read-only; of `devices`, such pairs too, as they are outside; of `proc`,
            paths, a new /proc or these files of it, read-only. The working folder holds twice
            `file_bytes`.
        owner: user id of the working folder.
    """
    kernel.mount("", "/", flags=kernel.RECURSIVE | kernel.PRIVATE)
    kernel.mount("tmpfs", BASE, "tmpfs", kernel.NOSUID | kernel.NODEV, "mode=755,size=1m")
    os.mkdir(BASE + OLD)
    os.mkdir(BASE + NEW)
    kernel.pivot_root(BASE, BASE + OLD)
    os.chdir("/")
    kernel.mount("tmpfs", NEW, "tmpfs", kernel.NOSUID | kernel.NODEV, "mode=755,size=1m")
    for outside, inside in job["binds"]:
        _show(outside, inside)
    if job["proc"]:
        _show_proc(job["proc"])
    os.mkdir(NEW + BOX)
    devices = [*((device, device) for device in DEVICES), *job["devices"]]
    for _, inside in devices:
        _empty_file(NEW + inside)
    kernel.make_read_only(NEW)
    for outside, inside in devices:
        kernel.mount(OLD + outside, NEW + inside, flags=kernel.BIND)
    size = 2 * job["limits"]["file_bytes"]
    sizes = f"mode=700,uid={owner},gid={owner},size={size},nr_inodes=1000"
    kernel.mount("tmpfs", NEW + BOX, "tmpfs", kernel.NOSUID | kernel.NODEV, sizes)
    _forbid_more_namespaces()
    _leave_the_old_root()


def _show(outside: str, inside: str) -> None:
    target = NEW + inside
    if os.path.isdir(OLD + outside):
        os.makedirs(target, exist_ok=True)
    else:
        _empty_file(target)
    kernel.mount(OLD + outside, target, flags=kernel.BIND | kernel.RECURSIVE)


def _show_proc(files: Sequence[str]) -> None:
    """A /proc of this process namespace; where containers don't allow one, files of the outer."""
    os.mkdir(NEW + PROC)
    try:
        kernel.mount("proc", NEW + PROC, "proc", kernel.NOSUID | kernel.NODEV | kernel.NOEXEC)
    except OSError:
        for path in files:
            _show(path, path)


def _empty_file(path: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    pathlib.Path(path).touch()


def _forbid_more_namespaces() -> None:
    """A second line: where this file cannot be written, new namespaces still reach nothing."""
    with contextlib.suppress(OSError):
        pathlib.Path(OLD, "proc/sys/user/max_user_namespaces").write_text("0")


def _leave_the_old_root() -> None:
    kernel.detach(OLD)
    os.chdir(NEW)
    kernel.pivot_root(".", ".")
    kernel.detach(".")
    os.chdir(BOX)
