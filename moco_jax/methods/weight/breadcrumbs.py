"""The largest and the smallest changes are dropped before the members are merged."""

import dataclasses
from typing import ClassVar

from moco_jax.methods.weight.rule import BasedMerge
from moco_jax.trees import TaskVectorMerge


@dataclasses.dataclass(frozen=True)
class Breadcrumbs(BasedMerge):
    """Masks outliers and negligible changes of each tensor, and does task arithmetic with the rest.

    Source: model breadcrumbs, arXiv 2312.06795.

    Cost: one generation per item; no dev pass.

    Attributes:
        base_model: the base: a member of the pool, which then is not merged itself, or whatever
            `Pool.load` takes.
        density: share of each task vector that stays.
        gamma: share of each task vector, its largest magnitudes, that is dropped as outliers.
        weights: of the merged members; null is 1 for each. They are not normalised.
        lambda_: scales the sum.
    """

    name: ClassVar[str] = "weight_breadcrumbs"

    density: float = 0.15
    gamma: float = 0.01
    weights: tuple[float, ...] | None = None
    lambda_: float = 0.3

    def rule(self, layers: int) -> TaskVectorMerge:
        """Mask both ends, add up."""
        del layers
        return TaskVectorMerge(
            "outliers",
            density=self.density,
            gamma=self.gamma,
            weights=1.0 if self.weights is None else self.weights,
            lambda_=self.lambda_,
        )
