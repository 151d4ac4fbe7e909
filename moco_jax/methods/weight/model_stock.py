"""The angles between what members changed say how far to go from the base to their average."""

import dataclasses
from typing import ClassVar

from moco_jax.methods.weight.rule import BasedMerge
from moco_jax.trees import ModelStock


@dataclasses.dataclass(frozen=True)
class WeightModelStock(BasedMerge):
    """Interpolates, tensor by tensor, between the base and the members' average.

    Source: model stock, arXiv 2403.19522.

    Cost: one generation per item; no dev pass.

    Departures: none. Where members' changes point away from each other (a negative mean cosine),
    the share of the average is negative, as by the paper's equation and in mergekit: the result
    lies beyond the base, away from the average.

    Attributes:
        base_model: the base: a member of the pool, which then is not merged itself, or whatever
            `Pool.load` takes.
    """

    name: ClassVar[str] = "weight_model_stock"

    def rule(self, layers: int) -> ModelStock:
        """The share of the average follows from the angles."""
        del layers
        return ModelStock()
