"""Small changes are dropped more often than large ones before the members are merged."""

import dataclasses
from typing import ClassVar

from moco_jax.methods.weight.rule import BasedMerge
from moco_jax.trees import TaskVectorMerge


@dataclasses.dataclass(frozen=True)
class Della(BasedMerge):
    """Keeps changes with chances that rise with their rank in a row, then elects and averages.

    Source: DELLA-merging, arXiv 2406.11617. What stays is divided by its chance of staying. A row
    holds the inputs of one output; a vector is one row. Masks follow the run's seed.

    Cost: one generation per item; no dev pass.

    Departures: the paper divides by the models that agree after the drop; that is normalize=true,
    and off by default: rescaling makes up for what was dropped, and dividing by what is left does
    so again (docs/levels/weight.md has the numbers). The paper's window of chances is epsilon wide
    in all; here, as in mergekit, chances reach from density - epsilon to density + epsilon.

    Attributes:
        base_model: the base: a member of the pool, which then is not merged itself, or whatever
            `Pool.load` takes.
        density: mean chance of a change to stay (one minus the paper's drop rate).
        epsilon: the smallest change of a row stays with density - epsilon, the largest with
            density + epsilon.
        weights: of the merged members in election and mean; null is the same for all.
        normalize: divide by the weights that stayed and agree.
        lambda_: scales the merged task vector.
    """

    name: ClassVar[str] = "weight_della"

    density: float = 0.5
    epsilon: float = 0.15
    weights: tuple[float, ...] | None = None
    normalize: bool = False
    lambda_: float = 1.0

    def rule(self, layers: int) -> TaskVectorMerge:
        """Drop by rank, elect, fuse."""
        del layers
        return TaskVectorMerge(
            "rank",
            density=self.density,
            epsilon=self.epsilon,
            rescale="density",
            elect=True,
            normalize=self.normalize,
            weights=self.weights,
            lambda_=self.lambda_,
        )
