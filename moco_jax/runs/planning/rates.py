"""How fast the machine is and how much it holds: measured in a moment, or given."""

import dataclasses
import os
import pathlib
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from moco_jax.models.linear import linear
from moco_jax.models.memory import CPU

ROWS = (8, 32, 256)
"""Rows at which matrix products are timed."""
WIDE, DEEP = 4096, 2048
REPEATS = 3
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
USABLE = {CPU: 0.8}
USABLE_ON_ACCELERATORS = 0.92
"""Share of the memory that a plan may fill: the rest is for programs, the host and fragments."""


@dataclasses.dataclass(frozen=True)
class Rates:
    """Speed of one device.

    Attributes:
        bandwidth: bytes per second that weights are read at.
        products: (rows, floating point operations per second) of matrix products, by rows.
    """

    bandwidth: float
    products: tuple[tuple[int, float], ...]

    def flops(self, rows: int) -> float:
        """Operations per second of a product with so many rows, between the measured ones."""
        counts, speeds = zip(*self.products, strict=True)
        return float(np.interp(np.log(max(rows, 1)), np.log(counts), speeds))

    def seconds(self, flops: float, read: float, rows: int) -> float:
        """Time of work that does so many operations and reads so many bytes: the roofline."""
        return max(flops / self.flops(rows), read / self.bandwidth)


def measure(dtype: str) -> Rates:
    """Times a few matrix products; takes under a second and 64 MB.

    Args:
        dtype: of activations.
    """
    kernel = jnp.ones((WIDE * 2, DEEP), dtype)
    product = jax.jit(linear)

    def timed(rows: int) -> float:
        x = jnp.ones((rows, DEEP), dtype)
        return _best(lambda: product(x, kernel))

    work = 2 * kernel.size
    products = tuple((rows, rows * work / timed(rows)) for rows in ROWS)
    return Rates(kernel.nbytes / timed(1), products)


def _best(run: Callable[[], jax.Array]) -> float:
    """Seconds of the fastest of a few calls, after one that compiles."""
    run().block_until_ready()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run().block_until_ready()
        times.append(time.perf_counter() - start)
    return min(times)


def device_memory() -> int:
    """Bytes that a plan may fill on one device; of a CPU's memory, what all processes share.

    It does not depend on what else is running, so that a run that goes on decides alike.
    """
    platform = jax.default_backend()
    share = USABLE.get(platform, USABLE_ON_ACCELERATORS)
    stats = jax.local_devices()[0].memory_stats() if platform != CPU else None
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"] * share)
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in map(pathlib.Path, CGROUP_LIMITS):
        text = file.read_text().strip() if file.is_file() else ""
        if text.isdigit():
            whole = min(whole, int(text))
    return int(whole * share) // (1 if platform != CPU else jax.local_device_count())
