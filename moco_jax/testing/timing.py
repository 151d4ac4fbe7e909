"""Timing things side by side, and what the machine is."""

import contextlib
import ctypes
import dataclasses
import gc
import importlib.metadata
import os
import pathlib
import platform
import re
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import jax

Action = Callable[[], object]

LIBRARIES = ("jax", "jaxlib", "numpy", "torch", "transformers")


@dataclasses.dataclass(frozen=True)
class Timing:
    """How long one action took.

    Attributes:
        cold: seconds of its first run, which compiles.
        warm: seconds of every further run, in order.
    """

    cold: float
    warm: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median of the warm runs."""
        return statistics.median(self.warm)


def side_by_side(actions: Mapping[str, Action], repeats: int = 5) -> dict[str, Timing]:
    """Times actions in turns, so that what else the machine does meets them all alike.

    Each runs once cold, then `repeats` times warm, every other round in reverse order. What they
    return is waited for.

    Args:
        actions: by name.
        repeats: warm runs of each, at least 1.
    """
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}; a median needs at least one warm run")
    cold = {name: seconds(action) for name, action in actions.items()}
    warm: dict[str, list[float]] = {name: [] for name in actions}
    order = list(actions)
    for _ in range(repeats):
        for name in order:
            warm[name].append(seconds(actions[name]))
        order.reverse()
    return {name: Timing(cold[name], tuple(warm[name])) for name in actions}


def seconds(action: Action) -> float:
    """Wall clock of one run, with what it returns ready."""
    start = time.perf_counter()
    jax.block_until_ready(action())
    return time.perf_counter() - start


def speedup(slow: Timing, fast: Timing) -> float:
    """How many times faster `fast` is: the median of the ratios of runs made side by side."""
    return statistics.median(a / b for a, b in zip(slow.warm, fast.warm, strict=True))


def machine() -> dict[str, str]:
    """What figures depend on: processor, cores, memory, device, and versions of libraries."""
    device = jax.devices()[0]
    facts = {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "device": f"{jax.device_count()} x {device.device_kind} ({device.platform})",
        "python": platform.python_version(),
    }
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            facts[name] = importlib.metadata.version(name)
    return facts


def _processor() -> str:
    info = pathlib.Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", info.read_text()) if info.is_file() else None
    return found[1].strip() if found else platform.processor() or platform.machine()


def host_bytes() -> int:
    """Anonymous memory that this process holds now; 0 where /proc does not say."""
    status = pathlib.Path("/proc/self/status")
    found = re.search(r"RssAnon:\s+(\d+) kB", status.read_text()) if status.is_file() else None
    return int(found[1]) * 1024 if found else 0


@dataclasses.dataclass
class Peak:
    """Filled by `watch_memory`: bytes held before, and at most while it watched."""

    before: int = 0
    most: int = 0

    @property
    def grown(self) -> int:
        """By how much memory grew at most."""
        return self.most - self.before


@contextlib.contextmanager
def watch_memory(every: float = 0.002) -> Iterator[Peak]:
    """Follows this process's anonymous memory while the block runs.

    What was freed before is given back to the system first, where the C library can do that.

    Args:
        every: seconds between two looks.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    peak = Peak(host_bytes(), host_bytes())
    done = threading.Event()

    def look() -> None:
        while not done.wait(every):
            peak.most = max(peak.most, host_bytes())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()
        peak.most = max(peak.most, host_bytes())
