"""The member that does best on dev answers everything."""

import dataclasses
from typing import ClassVar

from moco_jax.method import Method, Workbench
from moco_jax.methods.baseline.single_model import OneMember
from moco_jax.system import System


@dataclasses.dataclass(frozen=True)
class BestOnDev(Method):
    """The member with the best mean dev score answers; ties go to the earlier one.

    Source: none; the choice that most of the reference's methods make inside.

    Cost: one generation per item, and one greedy dev pass of every member, which all methods share.
    """

    name: ClassVar[str] = "best_on_dev"

    def fit(self, bench: Workbench) -> System:
        """Ranks the members on dev."""
        return OneMember(bench.best(), bench.dev_scores())
