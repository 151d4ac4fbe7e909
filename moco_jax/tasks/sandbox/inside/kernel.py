"""System calls that Python has no functions for. Runs inside, so it imports nothing of ours."""

import ctypes
import os
import signal

NEW_NAMESPACES = (
    0x00020000  # mounts
    | 0x02000000  # control groups
    | 0x04000000  # host name
    | 0x08000000  # System V memory and queues
    | 0x10000000  # users
    | 0x20000000  # process ids
    | 0x40000000  # network
)
BIND, RECURSIVE, PRIVATE = 0x1000, 0x4000, 0x40000
NOSUID, NODEV, NOEXEC = 0x2, 0x4, 0x8
DETACH = 2
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}
KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219, "ppc64le": 271, "s390x": 280}
JOIN_SESSION_KEYRING = 1
MOUNT_SETATTR = 442
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
READ_ONLY_NOSUID_NODEV = 0x1 | 0x2 | 0x4

LIBC = ctypes.CDLL(None, use_errno=True)


def checked(what: str, code: int) -> None:
    """Raises an OSError with the system's reason where a call failed."""
    if code < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Leaves the namespaces named by `flags` for new ones."""
    checked("unshare", LIBC.unshare(flags))


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    arguments = [text.encode() or None for text in (source, target, kind)]
    code = LIBC.mount(*arguments, ctypes.c_ulong(flags), data.encode() or None)
    checked(f"mount {kind or source} on {target}", code)


def make_read_only(path: str) -> None:
    """Makes a mount and all mounts below it read-only, without devices and set-uid programs."""
    attributes = (ctypes.c_uint64 * 4)(READ_ONLY_NOSUID_NODEV, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    target = os.fsencode(path)
    code = LIBC.syscall(MOUNT_SETATTR, AT_FDCWD, target, AT_RECURSIVE, attributes, size)
    checked(f"mount_setattr {path} (needs Linux 5.12)", code)


def pivot_root(new_root: str, old_root: str) -> None:
    """Makes `new_root` the root and puts the old one at `old_root`."""
    machine = os.uname().machine
    if machine not in PIVOT_ROOT:
        raise OSError(f"pivot_root is not known for {machine} processors")
    code = LIBC.syscall(PIVOT_ROOT[machine], os.fsencode(new_root), os.fsencode(old_root))
    checked("pivot_root", code)


def detach(path: str) -> None:
    """Unmounts a tree at once, whoever uses it."""
    checked(f"umount {path}", LIBC.umount2(os.fsencode(path), DETACH))


def leave_keyring() -> None:
    """Takes an empty session keyring, as keys the user has stored in the kernel are inherited.

    Where the call is not allowed, no key can be read either.
    """
    LIBC.syscall(KEYCTL[os.uname().machine], JOIN_SESSION_KEYRING, None)


def die_with_parent() -> None:
    """Has the system kill this process when its parent ends."""
    checked("prctl", LIBC.prctl(1, signal.SIGKILL, 0, 0, 0))


def hide_memory() -> None:
    """Lets no other process look into this one."""
    checked("prctl", LIBC.prctl(4, 0, 0, 0, 0))


def drop_privileges() -> None:
    """Gives up all capabilities, and every way of gaining new ones."""
    checked("prctl", LIBC.prctl(38, 1, 0, 0, 0))  # no new privileges
    for capability in range(64):
        LIBC.prctl(24, capability, 0, 0, 0)  # out of the bounding set; fails past the last one
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    checked("capset", LIBC.capset(header, (ctypes.c_uint32 * 6)()))
