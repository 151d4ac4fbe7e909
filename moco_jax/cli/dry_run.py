"""What `--dry_run` prints: what runs will take, before anything is loaded."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from absl import flags

if TYPE_CHECKING:
    from moco_jax.cli.commands import Parsed
    from moco_jax.method import Method
    from moco_jax.runs.config import RunConfig
    from moco_jax.runs.ledger import Totals
    from moco_jax.runs.planning.plan import MethodPlan, Setting

DRY_RUN, EXPECTED = "dry_run", "expected_tokens"
COLUMNS = (
    "method",
    "task",
    "requests",
    "prompt tokens",
    "new tokens",
    "FLOPs",
    "time",
    "memory",
)


def define(values: flags.FlagValues) -> None:
    """The flags of a dry run."""
    flags.DEFINE_boolean(
        DRY_RUN,
        False,
        "say what it would take (requests, tokens, FLOPs, time, memory), and load nothing",
        flag_values=values,
    )
    flags.DEFINE_integer(
        EXPECTED,
        None,
        "how long a dry run takes answers to be (default: as long as they may be)",
        lower_bound=1,
        flag_values=values,
    )


def show(
    parsed: "Parsed",
    config: "RunConfig",
    methods: Sequence["Method | str"],
    tasks: Sequence[str],
    seeds: Sequence[int],
    missing: Mapping[str, str] | None = None,
) -> str:
    """Plans runs and describes the plan.

    Args:
        parsed: the flags of `define`.
        config: of the runs; method, task and seed are replaced.
        methods: names, or methods with their hyperparameters.
        tasks: names or paths.
        seeds: one run of each method on each task per seed.
        missing: why some methods are left out, by name.
    """
    from moco_jax.runs import naming
    from moco_jax.runs.config import AUTO
    from moco_jax.runs.members import Members
    from moco_jax.runs.planning.plan import Planner, Setting
    from moco_jax.runs.planning.rates import device_memory, measure
    from moco_jax.runs.planning.settle import hardware_of, widest

    members = Members(config.models, config.dtype)
    hardware = hardware_of(config)
    rates = measure(hardware.multiplied_in(hardware.computes_in(members.dtype)))
    setting = Setting(members.infos, members.dtype, rates, hardware, parsed[EXPECTED])
    made = [naming.make_method(method, {}) for method in methods]
    loaded = [naming.make_task(task, config) for task in tasks]

    def planned(config: "RunConfig") -> "list[list[MethodPlan]]":
        planner = Planner(setting)
        return [
            [planner.plan(dataclasses.replace(config, seed=seed), method, task) for seed in seeds]
            for task in loaded
            for method in made
        ]

    plans, limit = planned(config), device_memory()
    setting = setting.with_beside(plan for one in plans for plan in one)
    if config.batch_size == AUTO:
        demands = [demand for one in plans for plan in one for demand in plan.demands]
        width = widest(setting, demands, limit, config.offload)
        config = dataclasses.replace(config, batch_size=width)
        plans = planned(config)
    return _text(config, setting, plans, limit, missing or {})


def _text(
    config: "RunConfig",
    setting: "Setting",
    plans: "list[list[MethodPlan]]",
    limit: int,
    missing: Mapping[str, str],
) -> str:
    from moco_jax.analysis.tables import TextTable, printable, to_text
    from moco_jax.models.memory import readable
    from moco_jax.runs.planning.engine import SCENARIOS
    from moco_jax.runs.planning.plan import peak_memory

    rows: list[tuple[str, ...]] = []
    reasons = [f"not planned: {method}: {reason}" for method, reason in missing.items()]
    for first, *_ in plans:
        if first.reason:
            reasons.append(f"not planned: {first.method} on {first.task}: {first.reason}")
            continue
        own = setting.with_beside([first])
        peak = peak_memory(own, first.demands, config.width, config.offload)
        costs = _costs(first.fewest, first.most)
        rows.append((first.method, first.task, *costs, readable(peak.total)))
    table = TextTable(COLUMNS, tuple(rows), frozenset(range(2, len(COLUMNS))))
    spent = [plan.spent for one in plans for plan in one]
    demands = [demand for first, *_ in plans for demand in first.demands]
    peak = peak_memory(setting, demands, config.width, config.offload)
    length = setting.expected_tokens or config.sampling.max_new_tokens
    rates = setting.rates
    over = "" if peak.total <= limit else ", WHICH IS TOO MUCH"
    lines = [
        to_text(table),
        *reasons,
        f"in all {sum(one.requests for one in spent):,} requests, "
        f"{sum(one.new_tokens for one in spent):,} new tokens, "
        f"{duration(sum(one.seconds for one in spent))}: each answer once, with the members' own "
        "answers that all are compared with",
        f"memory  weights {readable(peak.weights)} in {setting.dtype}, cache "
        f"{readable(peak.cache)}, working {readable(peak.working)}: {readable(peak.total)} of "
        f"{readable(limit)} that a device may hold{over}; {config.width} rows at a time",
        f"assumed every answer has {length} tokens, or as many as it may have; ranges, where a "
        "method looks at the answers: " + ", or ".join(scenario.name for scenario in SCENARIOS),
        f"        {rates.bandwidth / 1e9:.3g} GB/s and {rates.flops(config.width) / 1e9:.3g} "
        f"GFLOP/s at {config.width} rows, measured now; compiling, loading, judging and what the "
        "store holds already are not counted",
    ]
    return printable("\n".join(lines))


def _costs(fewest: "Totals", most: "Totals") -> tuple[str, ...]:
    """Requests, prompt tokens, new tokens, FLOPs and time, as ranges where they differ."""
    pairs = [
        (f"{fewest.requests:,}", f"{most.requests:,}"),
        (f"{fewest.prompt_tokens:,}", f"{most.prompt_tokens:,}"),
        (f"{fewest.new_tokens:,}", f"{most.new_tokens:,}"),
        (f"{fewest.flops:.2g}", f"{most.flops:.2g}"),
        (duration(fewest.seconds), duration(most.seconds)),
    ]
    return tuple(low if low == high else f"{low} - {high}" for low, high in pairs)


def duration(seconds: float) -> str:
    """A time for people: "0.2 s", "3 min", "1.5 h"."""
    for unit, size, beyond in (("s", 1, 90), ("min", 60, 90 * 60), ("h", 3600, 48 * 3600)):
        if seconds < beyond:
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds / 86400:.2g} days"
