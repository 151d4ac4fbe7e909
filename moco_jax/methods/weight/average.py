"""All members are averaged."""

import dataclasses
from typing import ClassVar

from moco_jax.methods.weight.rule import RuleMerge
from moco_jax.trees import Average


@dataclasses.dataclass(frozen=True)
class WeightAverage(RuleMerge):
    """The uniform mean of all members, whatever they score.

    Source: model soups, arXiv 2203.05482 (the uniform soup).

    Cost: one generation per item; no dev pass.
    """

    name: ClassVar[str] = "weight_average"

    def rule(self, layers: int) -> Average:
        """The mean of every tensor."""
        del layers
        return Average()
