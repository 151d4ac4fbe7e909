"""Decisions that a plan makes before anything is loaded: does it fit, and how wide."""

import contextlib
import dataclasses
from collections.abc import Sequence

import jax
from absl import logging

from moco_jax.decoding.placement import Placement
from moco_jax.method import Method, TaskInfo
from moco_jax.models import memory
from moco_jax.models.memory import Hardware, readable
from moco_jax.models.sharding import DATA, MODEL, TENSOR
from moco_jax.pool import MemberInfo
from moco_jax.runs.config import AUTO, RunConfig
from moco_jax.runs.members import Members
from moco_jax.runs.planning.engine import Demand
from moco_jax.runs.planning.plan import (
    WIDEST,
    Planner,
    Setting,
    peak_memory,
)
from moco_jax.runs.planning.rates import Rates, device_memory
from moco_jax.tasks import Task

UNTIMED = Rates(1.0, ((1, 1.0),))
"""For plans that nobody asks how long they take."""


class DoesNotFit(ValueError):
    """The devices have no room for a pool."""


def settle(
    config: RunConfig,
    runs: Sequence[tuple[Method, Task]],
    members: Members,
    limit: int | None = None,
) -> RunConfig:
    """The config with its batch size decided.

    Args:
        config: what was asked for.
        runs: the methods and tasks that it is asked for.
        members: the pool; its weights are not read. With `config.offload` it is told to keep them
            in host memory, and how much of a device they may take.
        limit: bytes that one device may hold; None asks the device.

    Raises:
        DoesNotFit: the pool's weights alone, or with "auto" any plan, take more than there is.
    """
    beside = helpers_beside(runs, members)
    setting = Setting(members.infos, members.dtype, UNTIMED, hardware_of(config), beside=beside)
    limit = device_memory() if limit is None else limit
    if not members.loaded:
        check_weights(setting, limit, config.offload)
    if config.batch_size != AUTO and not config.offload:
        return config
    planner = Planner(setting)
    plans = [planner.plan(config, method, task) for method, task in runs]
    demands = [demand for plan in plans for demand in plan.demands]
    if config.batch_size == AUTO:
        width = widest(setting, demands, limit, config.offload)
        logging.info("batch_size=auto: %d rows at a time", width)
        config = dataclasses.replace(config, batch_size=width)
    if config.offload:
        members.offload(limit - room_for_rows(setting, demands, config.width))
    return config


def helpers_beside(runs: Sequence[tuple[Method, Task]], members: Members) -> tuple[MemberInfo, ...]:
    """The helpers, each once, that are no members, of all methods that can run."""
    found: dict[tuple[str, str | None], MemberInfo] = {}
    for method, task in runs:
        # What cannot run is a row of its own and holds no memory
        with contextlib.suppress(Exception):
            helpers = members.check(method, TaskInfo.of(task))
            found |= {info.place: info for info in members.helpers.beside(helpers)}
    return tuple(found.values())


def hardware_of(config: RunConfig) -> Hardware:
    """The devices that a config asks for."""
    sizes = Placement.of(config.mesh).sizes
    members = sizes.get(MODEL, 1)
    rows = members * sizes.get(DATA, 1)
    return Hardware(jax.default_backend(), sizes.get(TENSOR, 1), rows, members)


def room_for_rows(setting: Setting, demands: Sequence[Demand], width: int) -> int:
    """Bytes that each device needs besides weights."""
    loads = (demand.load(width) for demand in demands)
    needs = (memory.load_memory(load, setting.dtype, setting.hardware) for load in loads)
    return max((need.total for need in needs), default=0)


def check_weights(setting: Setting, limit: int, offload: bool = False) -> None:
    """Raises DoesNotFit where no batch can be small enough for the pool."""
    sizes = setting.sizes
    needed = max(sizes.values()) if offload else sum(sizes.values())
    if needed > limit:
        parts = ", ".join(f"{name} {readable(size)}" for name, size in sizes.items())
        raise DoesNotFit(
            f"the pool does not fit: its weights take {readable(needed)} in {setting.dtype} "
            f"({parts}), and a device may hold {readable(limit)}. " + remedies(setting, offload)
        )


def widest(setting: Setting, demands: Sequence[Demand], limit: int, offload: bool = False) -> int:
    """The most rows, a power of two, that all demands fit with; no more than they ask for.

    Raises:
        DoesNotFit: not even one row fits.
    """
    wanted = max((demand.rows for demand in demands), default=int(RunConfig.batch_size))
    width = min(WIDEST, 1 << (wanted - 1).bit_length())
    while (peak := peak_memory(setting, demands, width, offload)).total > limit:
        if width == 1:
            raise DoesNotFit(
                f"the pool does not fit even with one row at a time: weights "
                f"{readable(peak.weights)}, cache {readable(peak.cache)}, working memory "
                f"{readable(peak.working)}, and a device may hold {readable(limit)}. "
                + remedies(setting, offload)
            )
        width //= 2
    return width


def remedies(setting: Setting, offload: bool) -> str:
    """What helps a pool that is too large."""
    smaller = {"float32": ("bfloat16", "int8"), "bfloat16": ("int8",), "float16": ("int8",)}
    ways = [f"--dtype={name}" for name in smaller.get(setting.dtype, ())]
    if not offload and setting.hardware.platform != memory.CPU:
        ways.append("--offload, which keeps idle members in host memory")
    ways += ["fewer or smaller members", "shorter answers (--max_new_tokens)", "more devices"]
    return f"What helps: {', '.join(ways)}."
