"""Launcher: takes one job from stdin, goes into new namespaces and has the program run there.

It is a process of its own, so that the library never forks. Processes, each the parent of the next:
launcher (maps users), warden (in the namespaces, builds the file system), keeper (process 1 of
the new process namespace: when it ends, the system kills all that is left), worker (the program).
"""

import json
import os
import signal
import sys
from typing import Any

import kernel
import room
import worker

NOBODY = 65534
USER = 1  # NOBODY, as seen inside


def main() -> None:
    """Runs the job; the result descriptor is the first argument."""
    result = int(sys.argv[1])
    job = json.load(sys.stdin)
    try:
        if sys.platform == "linux":
            kernel.die_with_parent()
        if job["isolate"]:
            _isolate(job, result)
        else:
            _keep(job, result, None)
    except Exception as error:
        refusal = json.dumps({"refused": str(error)})
        os.write(result, f"{job['token']}refused {refusal}\n".encode())
        os._exit(1)


def _isolate(job: dict[str, Any], result: int) -> None:
    """Forks the warden, maps users for it, and waits until it ends."""
    entered, tell_entered = os.pipe()
    mapped, tell_mapped = os.pipe()
    warden = os.fork()
    if warden == 0:
        kernel.die_with_parent()
        kernel.unshare(kernel.NEW_NAMESPACES)
        os.write(tell_entered, b"+")
        os.close(tell_mapped)
        answer = os.read(mapped, 1)
        if not answer:
            raise OSError("user ids could not be mapped")
        _guard(job, result, USER if answer == b"2" else None)
    os.close(tell_entered)
    if os.read(entered, 1):
        os.write(tell_mapped, b"2" if _map_users(warden) else b"1")
    os.waitpid(warden, 0)
    os._exit(0)


def _map_users(process: int) -> bool:
    """Maps ids into the user namespace of a process; whether NOBODY could be mapped too.

    The program must not run as the system's own root: for that user the system does not count
    processes. Only root may map a second user, and only root needs to.
    """
    group, user = os.getegid(), os.geteuid()
    if user == 0:
        try:
            for kind in ("gid_map", "uid_map"):
                _write(process, kind, f"0 0 1\n{USER} {NOBODY} 1")
            return True
        except OSError:
            pass  # root of a container that has no second user; its root is not the system's
    _write(process, "setgroups", "deny")
    _write(process, "gid_map", f"0 {group} 1")
    _write(process, "uid_map", f"0 {user} 1")
    return False


def _write(process: int, name: str, text: str) -> None:
    with open(f"/proc/{process}/{name}", "w") as file:
        file.write(text)


def _guard(job: dict[str, Any], result: int, user: int | None) -> None:
    """The warden: waits for the keeper, which builds the room, as only it can show its /proc."""
    _write(os.getpid(), "oom_score_adj", "1000")
    kernel.leave_keyring()
    keeper = os.fork()
    if keeper == 0:
        kernel.die_with_parent()
        room.build(job, user or 0)
        kernel.hide_memory()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        _keep(job, result, user)
    os.waitpid(keeper, 0)
    os._exit(0)


def _keep(job: dict[str, Any], result: int, user: int | None) -> None:
    """Forks the worker and ends when it ends, and with that whatever it left behind."""
    process = os.fork()
    if process == 0:
        worker.work(job, result, user)
    os.close(result)
    while os.wait()[0] != process:
        continue
    os._exit(0)


main()
