"""What the members changed in their base is added up."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from moco_jax.method import NeedsError, Workbench
from moco_jax.methods.checks import one_of
from moco_jax.methods.weight.bases import merged_infos
from moco_jax.methods.weight.mixtures import check_adapters, combined_adapters
from moco_jax.methods.weight.rule import BasedMerge
from moco_jax.pool import MemberInfo
from moco_jax.system import System
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
        space: "weights" adds up whole models, adapters merged into their base. Adapters over
            base_model may become one adapter: the sum of their products ("delta", the same model),
            or of A and B each for itself ("factors", where a weight counts twice).
    """

    name: ClassVar[str] = "weight_task_arithmetic"

    weights: tuple[float, ...] | None = None
    lambda_: float = 0.4
    space: Literal["weights", "delta", "factors"] = "weights"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "space", ("weights", "delta", "factors"))

    def check_helpers(self, infos: Sequence[MemberInfo], helpers: Mapping[str, MemberInfo]) -> None:
        """Adapters are combined over the base that they stand over."""
        super().check_helpers(infos, helpers)
        if self.space == "weights":
            return
        base = helpers["base"]
        members = merged_infos(self.name, infos, base)
        check_adapters(self.name, self.space, members)
        over = dataclasses.replace(members[0], adapter=None)
        if over.place != base.place:
            raise NeedsError(
                f"{self.name}: space={self.space!r} combines adapters over base_model "
                f"{self.base_model}, and {members[0].name} stands over {over.path}; name "
                "their base, or pass space='weights'"
            )

    def fit(self, bench: Workbench) -> System:
        """Adds up what the members changed."""
        if self.space == "weights":
            return super().fit(bench)
        base = bench.pool.find(self.base_model)
        members = [member for member in bench.pool if member.info.place != base.info.place]
        weights = [1.0] * len(members) if self.weights is None else self.weights
        scaled = [self.lambda_ * weight for weight in weights]
        return combined_adapters(self.name, members, scaled, self.space, base_model=self.base_model)

    def rule(self, layers: int) -> TaskVectorMerge:
        """The weighted sum."""
        del layers
        weights = 1.0 if self.weights is None else self.weights
        return TaskVectorMerge(weights=weights, lambda_=self.lambda_)
