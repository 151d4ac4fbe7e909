"""The plan of a run: its method goes through the motions, and everything is counted."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from absl import logging

from moco_jax.decoding.hooks import Store
from moco_jax.method import Method, NeedsError, TaskInfo, Workbench
from moco_jax.methods.helpers import Helpers
from moco_jax.models import memory
from moco_jax.models.memory import Hardware, Memory
from moco_jax.pool import MemberInfo, Pool
from moco_jax.runs.config import RunConfig
from moco_jax.runs.execution import respond
from moco_jax.runs.failures import failed
from moco_jax.runs.ledger import FIT, PHASES, RESPOND, SCORE, Ledger, Totals
from moco_jax.runs.planning.engine import SCENARIOS, Demand, Memo, PlanningEngine, Scenario
from moco_jax.runs.planning.rates import Rates
from moco_jax.runs.planning.stand_ins import planned_identity, stand_in_pool
from moco_jax.system import Context
from moco_jax.tasks import Score, Task

WIDEST = 256
"""The most rows that `batch_size="auto"` takes."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """What all plans of one pool share.

    Attributes:
        infos: the members.
        dtype: of their weights.
        rates: speed of one device.
        hardware: the devices.
        expected_tokens: of every answer; None takes the longest that it may be.
        beside: models that stand in memory beside the members, which methods use as helpers.
    """

    infos: Sequence[MemberInfo]
    dtype: str
    rates: Rates
    hardware: Hardware
    expected_tokens: int | None = None
    beside: tuple[MemberInfo, ...] = ()

    @functools.cached_property
    def helpers(self) -> Helpers:
        """What is known of helpers; each is looked up once."""
        return Helpers(self.infos)

    @functools.cached_property
    def pool(self) -> Pool:
        """Stand-ins of the members."""
        return stand_in_pool(self.infos, self.dtype)

    def with_beside(self, plans: "Iterable[MethodPlan]") -> "Setting":
        """The same with the helpers of some plans beside the members."""
        found = {info.place: info for plan in plans for info in plan.beside}
        return dataclasses.replace(self, beside=tuple(found.values()))

    @property
    def weights(self) -> int:
        """Bytes of all models on each device."""
        return sum(self.sizes.values())

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of every model whose weights stand in memory, by name."""
        held = held_models([*self.infos, *self.beside])
        return {
            one.name: memory.weight_bytes(one.config, self.dtype, self.hardware) for one in held
        }


def held_models(infos: Sequence[MemberInfo]) -> list[MemberInfo]:
    """Those whose weights stand in memory; several adapters over one base share its weights."""
    adapters: dict[str, set[str]] = {}
    for info in infos:
        if info.adapter:
            adapters.setdefault(info.path, set()).add(info.adapter)
    held: dict[tuple[str, str | None], MemberInfo] = {}
    for info in infos:
        model, adapter = info.place
        lone = len(adapters.get(info.path, ())) == 1
        held.setdefault((model, adapter if lone else None), info)
    return list(held.values())


@dataclasses.dataclass(frozen=True)
class MethodPlan:
    """What one method on one task will take.

    Attributes:
        method: its name.
        task: its name.
        fewest: its own cost as if alone, where its answers cost the least; see `SCENARIOS`.
        most: the same where they cost the most.
        spent: what a run computes at most: with the comparison with single members, without what
            runs before it in this plan computed already.
        demands: what its calls want at once.
        beside: the helpers that are no members.
        reason: why it cannot run; there is nothing else then.
    """

    method: str
    task: str
    fewest: Totals = dataclasses.field(default_factory=Totals)
    most: Totals = dataclasses.field(default_factory=Totals)
    spent: Totals = dataclasses.field(default_factory=Totals)
    demands: tuple[Demand, ...] = ()
    beside: tuple[MemberInfo, ...] = ()
    reason: str = ""


class Planner:
    """Plans runs of one pool in order; what one computes, the next ones find in the store."""

    def __init__(self, setting: Setting):
        self.setting = setting
        self._stores = {scenario: Memo() for scenario in SCENARIOS}

    def plan(self, config: RunConfig, method: Method, task: Task) -> MethodPlan:
        """Lets a method fit and answer without models."""
        setting = self.setting
        try:
            method.needs.check_dtype(method.name, setting.dtype)
            method.check(setting.infos, TaskInfo.of(task))
            helpers = setting.helpers.of(method)
            found = [
                rehearse(setting, scenario, config, method, helpers, task, store)
                for scenario, store in self._stores.items()
            ]
        except NeedsError as error:
            return MethodPlan(method.name, task.name, reason=str(error))
        except Exception as error:
            # A user's method may do anything; what it does here, it would do in a run
            return MethodPlan(method.name, task.name, reason=failed(error))
        own = [ledger.total(FIT, RESPOND).attributed for ledger, _ in found]
        spent = [ledger.total(*PHASES).spent for ledger, _ in found]
        logging.info("planned %s on %s", method.name, task.name)
        return MethodPlan(
            method.name,
            task.name,
            fewest=min(own, key=lambda totals: totals.flops),
            most=max(own, key=lambda totals: totals.flops),
            spent=max(spent, key=lambda totals: totals.flops),
            demands=tuple(dict.fromkeys(demand for _, part in found for demand in part)),
            beside=tuple(setting.helpers.beside(helpers)),
        )


def rehearse(
    setting: Setting,
    scenario: Scenario,
    config: RunConfig,
    method: Method,
    helpers: Mapping[str, MemberInfo],
    task: Task,
    store: Store,
) -> tuple[Ledger, list[Demand]]:
    """Goes through a run as `execute` does, with nothing computed.

    Returns:
        the ledger, and what the engine was asked for at once.
    """
    names = method.helpers()
    pool = setting.pool.with_helpers({names[role]: info for role, info in helpers.items()})
    ledger, engines = Ledger(), []

    @contextlib.contextmanager
    def phase(name: str) -> Iterator[PlanningEngine]:
        engine = PlanningEngine(
            rates=setting.rates,
            dtype=setting.dtype,
            hardware=setting.hardware,
            scenario=scenario,
            dev=frozenset(item.id for item in task.dev.items),
            expected_tokens=setting.expected_tokens,
            seed=config.seed,
            width=planned_width(config),
            store=store,
            meter=ledger,
        )
        engines.append(engine)
        with ledger.phase(name):
            yield engine

    with phase(FIT) as engine:
        system = method.fit(_workbench(pool, engine, config, task, scenario))
    with phase(RESPOND) as engine:
        respond(system, Context(pool, engine, config.sampling, config.seed), task)
    with phase(SCORE) as engine:
        bench = _workbench(pool, engine, config, task, scenario)
        beside = [pool.find(info.name) for info in setting.helpers.beside(helpers)]
        for member in (*pool, *beside):
            bench.answer(member, task.test.items)
        if not config.sampling.greedy:
            greedy = config.sampling.with_greedy()
            bench.answer(bench.best(), task.test.items, sampling=greedy)
    return ledger, [demand for engine in engines for demand in engine.demands]


def planned_width(config: RunConfig) -> int:
    """The decode width that a plan counts with."""
    return WIDEST if config.batch_size == "auto" else config.batch_size


def _workbench(
    pool: Pool, engine: PlanningEngine, config: RunConfig, task: Task, scenario: Scenario
) -> Workbench:
    """What `fit` gets, with scores that are made up."""
    scored = 0

    def score(indices: Sequence[int], outputs: Sequence[str]) -> list[Score]:
        nonlocal scored
        scored += scenario.rising
        value = 1 - 1 / (1 + scored)
        return [Score(value, None, "unparsed") for _, _ in zip(indices, outputs, strict=True)]

    return Workbench(pool, engine, config.sampling, config.seed, dev=task.dev, scorer=score)


def peak_memory(
    setting: Setting, demands: Sequence[Demand], width: int, offload: bool = False
) -> Memory:
    """The most that each device holds at once.

    Args:
        setting: the pool and the devices.
        demands: of all calls.
        width: rows decoded together.
        offload: members that are idle stand in host memory.
    """
    held = {planned_identity(info) for info in (*setting.infos, *setting.beside)}
    loads = [(demand, demand.load(width)) for demand in demands]
    most = Memory()
    for demand, load in loads:
        made = memory.stacked_bytes(demand.configs, setting.dtype, setting.hardware)
        for identity, config in zip(demand.speakers, demand.configs, strict=True):
            weights = memory.weight_bytes(config, setting.dtype, setting.hardware) * load.sets
            made += weights if offload or identity not in held else 0
        needed = memory.load_memory(load, setting.dtype, setting.hardware)
        needed = dataclasses.replace(needed, weights=made)
        most = max(most, needed, key=lambda one: one.total)
    kept = 0 if offload else setting.weights
    return dataclasses.replace(most, weights=most.weights + kept)
