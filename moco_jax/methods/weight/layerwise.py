"""Members are mixed by coefficients that change from layer to layer."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

from moco_jax.methods.weight.bases import check_one_each
from moco_jax.methods.weight.rule import RuleMerge
from moco_jax.pool import MemberInfo
from moco_jax.trees import Layerwise, Linear


@dataclasses.dataclass(frozen=True)
class WeightLayerwise(RuleMerge):
    """A linear combination of the members whose coefficients follow a curve over the layers.

    Source: layer-wise coefficients as in AdaMerging, arXiv 2310.02575, here given, not learned.

    Cost: one generation per item; no dev pass.

    Attributes:
        coefficients: points of the curve, evenly spaced from the first layer to the last and
            interpolated between; each lists one number per member. They are not normalised.
            (Without a curve there would be nothing but the mean, which is weight_average.)
        outside: the coefficients in tensors of no layer; null is the mean of the points.
    """

    name: ClassVar[str] = "weight_layerwise"

    coefficients: tuple[tuple[float, ...], ...]
    outside: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        points = [*self.coefficients, *([self.outside] if self.outside is not None else [])]
        if not self.coefficients or len({len(point) for point in points}) != 1:
            raise ValueError(
                f"{self.name}: coefficients is {self.coefficients!r}, outside {self.outside!r}; "
                "every point must list one number per member"
            )

    def check_merged(self, members: Sequence[MemberInfo]) -> None:
        """Every point has a number for each member."""
        for point in self.coefficients:
            check_one_each(self.name, "a point of coefficients", point, members)

    def rule(self, layers: int) -> Layerwise:
        """A linear combination per layer."""
        columns = zip(*self.coefficients, strict=True)
        mean = tuple(sum(column) / len(self.coefficients) for column in columns)
        outside = mean if self.outside is None else self.outside
        return Layerwise(Linear(), "weights", self.coefficients, outside, layers)
