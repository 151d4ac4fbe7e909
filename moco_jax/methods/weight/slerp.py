"""Two members are mixed along the arc between them."""

import dataclasses
from typing import ClassVar

from moco_jax.method import Needs
from moco_jax.methods.weight.rule import RuleMerge
from moco_jax.trees import Layerwise, Slerp


@dataclasses.dataclass(frozen=True)
class WeightSlerp(RuleMerge):
    """Spherical linear interpolation from the first member to the second, tensor by tensor.

    Source: animating rotation with quaternion curves, Shoemake 1985.

    Cost: one generation per item; no dev pass.

    Attributes:
        t: how far to go: 0 is the first member, 1 the second. A list runs evenly from the first
            layer to the last, and tensors outside the layers take its mean.
    """

    name: ClassVar[str] = "weight_slerp"
    needs: ClassVar[Needs] = Needs(members=2, at_most=2, same_architecture=True)

    t: float | tuple[float, ...] = 0.5

    def __post_init__(self) -> None:
        values = self.t if isinstance(self.t, tuple) else (self.t,)
        if not values or not all(0 <= value <= 1 for value in values):
            raise ValueError(
                f"{self.name}: t is {self.t!r}; it must be from 0 to 1, or such a list"
            )

    def rule(self, layers: int) -> Slerp | Layerwise:
        """One arc per tensor."""
        if not isinstance(self.t, tuple):
            return Slerp(self.t)
        return Layerwise(Slerp(), "t", self.t, sum(self.t) / len(self.t), layers)
