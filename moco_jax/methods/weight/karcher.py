"""The members are averaged on the sphere."""

import dataclasses
from typing import ClassVar

from moco_jax.methods.checks import within
from moco_jax.methods.weight.rule import RuleMerge
from moco_jax.trees import Karcher


@dataclasses.dataclass(frozen=True)
class WeightKarcher(RuleMerge):
    """The Karcher mean of the members' directions at their mean norm: SLERP for many members.

    Source: Riemannian center of mass, Karcher 1977.

    Cost: one generation per item; no dev pass.

    Attributes:
        max_iterations: steps of the search for the mean, at most.
        tolerance: a shorter step ends it.
    """

    name: ClassVar[str] = "weight_karcher"

    max_iterations: int = 10
    tolerance: float = 1e-5

    def __post_init__(self) -> None:
        within(self, "max_iterations", 1)
        within(self, "tolerance", 0)

    def rule(self, layers: int) -> Karcher:
        """One mean per tensor."""
        del layers
        return Karcher(max_iterations=self.max_iterations, tolerance=self.tolerance)
