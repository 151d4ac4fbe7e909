"""Several processes of one command on this machine, as one.

Every process gets the flags that let it find the others; their output comes here line by line,
with the number of its process before it. When one fails the others are stopped.

    python launch/local.py --processes=2 --cpu_devices=4 -- \\
        moco run --method=logit_logit_fusion --task=tiny_mix --models=tiny:math,tiny:words \\
        --mesh=data=4,tensor=2
"""

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence

from absl import app, flags

PROCESSES = flags.DEFINE_integer("processes", 2, "how many processes", lower_bound=1)
PORT = flags.DEFINE_integer("port", 0, "where process 0 listens; 0 takes a free port")
CPU_DEVICES = flags.DEFINE_integer(
    "cpu_devices", 0, "CPU devices that each process pretends to have; 0 leaves them alone"
)
GPUS = flags.DEFINE_list("gpus", [], "GPUs to deal out evenly, such as 0,1,2,3; none: all see all")
GRACE = flags.DEFINE_float("grace", 10.0, "seconds between asking a process to end and killing it")

INTERRUPTED = 130
POLL_SECONDS = 0.05


@dataclasses.dataclass(frozen=True)
class Child:
    """One process and the thread that passes its output on."""

    index: int
    process: subprocess.Popen[str]
    reader: threading.Thread

    @property
    def code(self) -> int | None:
        """Its exit code as a shell gives it, 128 and more for signals; None while it runs."""
        code = self.process.poll()
        return code if code is None or code >= 0 else 128 - code


def main(argv: Sequence[str]) -> int:
    """Runs the command that stands after the flags, and gives its worst exit code."""
    command = list(argv[1:])
    if not command:
        raise app.UsageError(
            "what is to be run? Write it after the flags: local.py -- moco run ..."
        )
    if len(GPUS.value) % PROCESSES.value:
        raise app.UsageError(
            f"{len(GPUS.value)} GPUs cannot be dealt out evenly to {PROCESSES.value} processes"
        )
    # A plain `kill` of the launcher has to reach its children too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    port = PORT.value or free_port()
    children: list[Child] = []
    try:
        for index in range(PROCESSES.value):
            children.append(start(index, [*command, *join_flags(index, port)], environment(index)))
        return wait(children)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        stop(children, GRACE.value)


def join_flags(index: int, port: int) -> list[str]:
    """What tells process `index` where the others are."""
    return [
        f"--coordinator=localhost:{port}",
        f"--processes={PROCESSES.value}",
        f"--process={index}",
    ]


def environment(index: int) -> dict[str, str]:
    """The variables of process `index`: which devices it has."""
    variables = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if CPU_DEVICES.value:
        forced = f"--xla_force_host_platform_device_count={CPU_DEVICES.value}"
        variables["XLA_FLAGS"] = f"{variables.get('XLA_FLAGS', '')} {forced}".strip()
    each = len(GPUS.value) // PROCESSES.value
    if each:
        mine = GPUS.value[index * each : (index + 1) * each]
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(mine)
    return variables


def start(index: int, command: Sequence[str], variables: Mapping[str, str]) -> Child:
    """Starts one process in a group of its own, so that its own children end with it."""
    process = subprocess.Popen(
        command,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    reader = threading.Thread(target=pass_on, args=(index, process), daemon=True)
    reader.start()
    return Child(index, process, reader)


def pass_on(index: int, process: "subprocess.Popen[str]") -> None:
    """Writes a process's lines here, each with its number."""
    assert process.stdout is not None
    for line in process.stdout:
        sys.stdout.write(f"[{index}] {line.rstrip()}\n")
        sys.stdout.flush()


def wait(children: Sequence[Child]) -> int:
    """Waits until all have ended, or one has failed; the worst exit code."""
    while True:
        codes = [child.code for child in children]
        worst = max((code for code in codes if code is not None), default=0)
        if worst or None not in codes:
            return worst
        time.sleep(POLL_SECONDS)


def stop(children: Sequence[Child], grace: float) -> None:
    """Ends what still runs, politely first, and lets the readers finish."""
    running = [child for child in children if child.code is None]
    for child in running:
        os.killpg(child.process.pid, signal.SIGTERM)
    limit = time.monotonic() + grace
    for child in running:
        try:
            child.process.wait(max(limit - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()
    for child in children:
        child.reader.join(timeout=1)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as one:
        one.bind(("localhost", 0))
        port: int = one.getsockname()[1]
        return port


if __name__ == "__main__":
    app.run(main)
