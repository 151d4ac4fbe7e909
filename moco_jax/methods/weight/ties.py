"""Small changes are dropped and signs agreed on before the members are merged."""

import dataclasses
from typing import ClassVar

from moco_jax.methods.weight.rule import BasedMerge
from moco_jax.trees import TaskVectorMerge


@dataclasses.dataclass(frozen=True)
class Ties(BasedMerge):
    """Trims task vectors, elects a sign per parameter, and averages what agrees with it.

    Source: TIES-merging, arXiv 2306.01708.

    Cost: one generation per item; no dev pass.

    Departures: the paper trims a whole model by one threshold, here (as in mergekit) every tensor
    is trimmed by its own: one threshold would leave nothing of the tensors that change least.

    Attributes:
        base_model: the base: a member of the pool, which then is not merged itself, or whatever
            `Pool.load` takes.
        density: share of each task vector that stays: its largest magnitudes.
        weights: of the merged members in election and mean; null is the same for all.
        normalize: divide by the weights that agree (the paper's disjoint mean).
        lambda_: scales the merged task vector.
    """

    name: ClassVar[str] = "weight_ties"

    density: float = 0.2
    weights: tuple[float, ...] | None = None
    normalize: bool = True
    lambda_: float = 1.0

    def rule(self, layers: int) -> TaskVectorMerge:
        """Trim, elect, merge."""
        del layers
        return TaskVectorMerge(
            "magnitude",
            density=self.density,
            elect=True,
            normalize=self.normalize,
            weights=self.weights,
            lambda_=self.lambda_,
        )
