"""What the members changed in their base is added up."""

import dataclasses
from typing import ClassVar

from moco_jax.methods.weight.rule import BasedMerge
from moco_jax.trees import TaskVectorMerge


@dataclasses.dataclass(frozen=True)
class TaskArithmetic(BasedMerge):
    """The base plus the scaled sum of the members' task vectors.

    Source: editing models with task arithmetic, arXiv 2212.04089.

    Cost: one generation per item; no dev pass.

    Attributes:
        base_model: the base: a member of the pool, which then is not merged itself, or whatever
            `Pool.load` takes.
        weights: of the merged members; null is 1 for each. They are not normalised.
        lambda_: scales the sum; 0.4 where nothing can be tuned (arXiv 2306.01708, section 5).
    """

    name: ClassVar[str] = "weight_task_arithmetic"

    weights: tuple[float, ...] | None = None
    lambda_: float = 0.4

    def rule(self, layers: int) -> TaskVectorMerge:
        """The weighted sum."""
        del layers
        weights = 1.0 if self.weights is None else self.weights
        return TaskVectorMerge(weights=weights, lambda_=self.lambda_)
