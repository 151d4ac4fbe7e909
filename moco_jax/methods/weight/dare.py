"""A random share of what the members changed is added up, scaled to make up for the rest."""

import dataclasses
from typing import ClassVar

from moco_jax.methods.weight.rule import BasedMerge
from moco_jax.trees import TaskVectorMerge


@dataclasses.dataclass(frozen=True)
class Dare(BasedMerge):
    """Drops a random share of each task vector, rescales the rest, and does task arithmetic.

    Source: DARE, arXiv 2311.03099 (with task arithmetic, arXiv 2212.04089). Masks follow the run's
    seed.

    Cost: one generation per item; no dev pass.

    Attributes:
        base_model: the base: a member of the pool, which then is not merged itself, or whatever
            `Pool.load` takes.
        density: chance of each change to stay (one minus the paper's drop rate).
        weights: of the merged members; null is 1 for each. They are not normalised.
        lambda_: scales the sum.
    """

    name: ClassVar[str] = "weight_dare"

    density: float = 0.5
    weights: tuple[float, ...] | None = None
    lambda_: float = 0.4

    def rule(self, layers: int) -> TaskVectorMerge:
        """Drop, rescale, add up."""
        del layers
        return TaskVectorMerge(
            "random",
            density=self.density,
            rescale="density",
            weights=1.0 if self.weights is None else self.weights,
            lambda_=self.lambda_,
        )
