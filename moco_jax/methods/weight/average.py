"""All members are averaged."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Literal

from moco_jax.method import TaskInfo, Workbench
from moco_jax.methods.checks import one_of
from moco_jax.methods.weight.mixtures import check_adapters, combined_adapters
from moco_jax.methods.weight.rule import RuleMerge
from moco_jax.pool import MemberInfo
from moco_jax.system import System
from moco_jax.trees import Average


@dataclasses.dataclass(frozen=True)
class WeightAverage(RuleMerge):
    """The uniform mean of all members, whatever they score.

    Source: model soups, arXiv 2203.05482 (the uniform soup).

    Cost: one generation per item; no dev pass.

    Attributes:
        space: "weights" averages whole models, adapters merged into their base. A pool of adapters
            over one base may become one adapter: the mean of their products ("delta", the same
            model at N times the rank), or of A and B each for itself ("factors", the same rank).
    """

    name: ClassVar[str] = "weight_average"

    space: Literal["weights", "delta", "factors"] = "weights"

    def __post_init__(self) -> None:
        one_of(self, "space", ("weights", "delta", "factors"))

    def check(self, infos: Sequence[MemberInfo], task: TaskInfo) -> None:
        """Only adapters have other spaces than whole weights."""
        super().check(infos, task)
        if self.space != "weights":
            check_adapters(self.name, self.space, infos)

    def fit(self, bench: Workbench) -> System:
        """Averages the members."""
        if self.space == "weights":
            return super().fit(bench)
        members = list(bench.pool)
        return combined_adapters(
            self.name, members, [1 / len(members)] * len(members), self.space, base_model=None
        )

    def rule(self, layers: int) -> Average:
        """The mean of every tensor."""
        del layers
        return Average()
