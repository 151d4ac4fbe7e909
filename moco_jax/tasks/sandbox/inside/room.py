"""The file system a program sees: Python, the shared libraries, and one folder that vanishes."""

import contextlib
import os
import pathlib

import kernel

BASE = "/tmp"  # any folder that exists; it is covered only inside
OLD, NEW = "/old", "/new"
BOX = "/box"
DEVICES = ("/dev/null", "/dev/urandom")


def build(binds: list[tuple[str, str]], file_bytes: int, owner: int) -> None:
    """Replaces the file system of this mount namespace.

    Args:
        binds: (real path outside, path inside) of what stays visible, read-only.
        file_bytes: half of what the working folder holds.
        owner: user id of the working folder.
    """
    kernel.mount("", "/", flags=kernel.RECURSIVE | kernel.PRIVATE)
    kernel.mount("tmpfs", BASE, "tmpfs", kernel.NOSUID | kernel.NODEV, "mode=755,size=1m")
    os.mkdir(BASE + OLD)
    os.mkdir(BASE + NEW)
    kernel.pivot_root(BASE, BASE + OLD)
    os.chdir("/")
    kernel.mount("tmpfs", NEW, "tmpfs", kernel.NOSUID | kernel.NODEV, "mode=755,size=1m")
    for outside, inside in binds:
        target = NEW + inside
        if os.path.isdir(OLD + outside):
            os.makedirs(target, exist_ok=True)
        else:
            _empty_file(target)
        kernel.mount(OLD + outside, target, flags=kernel.BIND | kernel.RECURSIVE)
    os.mkdir(NEW + BOX)
    for device in DEVICES:
        _empty_file(NEW + device)
    kernel.make_read_only(NEW)
    for device in DEVICES:
        kernel.mount(OLD + device, NEW + device, flags=kernel.BIND)
    sizes = f"mode=700,uid={owner},gid={owner},size={2 * file_bytes},nr_inodes=1000"
    kernel.mount("tmpfs", NEW + BOX, "tmpfs", kernel.NOSUID | kernel.NODEV, sizes)
    _forbid_more_namespaces()
    _leave_the_old_root()


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
