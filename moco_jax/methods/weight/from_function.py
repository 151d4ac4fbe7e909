"""Merging by a function of one leaf; see `methods.decorators`."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import jax

from moco_jax.decoding.keys import digest
from moco_jax.decoding.source import source_digest
from moco_jax.method import Method, Needs, Workbench
from moco_jax.methods.weight.bases import merged_infos, merged_members
from moco_jax.methods.weight.lineage import one_structure, remarks
from moco_jax.methods.weight.merged import Merged
from moco_jax.pool import MemberInfo
from moco_jax.system import System
from moco_jax.trees import merge_trees


@dataclasses.dataclass(frozen=True)
class FunctionMerge(Method):
    """Base of methods made by `weight_method`; see there.

    Cost: one generation per item.

    Attributes:
        base_model: the model that the function gets as `base`: a member of the pool, which then is
            not merged itself, or whatever `Pool.load` takes; None passes None.
    """

    function: ClassVar[Callable[..., jax.Array]]
    needs: ClassVar[Needs] = Needs(same_architecture=True)

    base_model: str | None = None

    def helpers(self) -> dict[str, str]:
        """The base, if there is one."""
        return {} if self.base_model is None else {"base": self.base_model}

    def check_helpers(self, infos: Sequence[MemberInfo], helpers: Mapping[str, MemberInfo]) -> None:
        """There is something to merge over the base."""
        super().check_helpers(infos, helpers)
        merged_infos(self.name, infos, helpers.get("base"))

    def fit(self, bench: Workbench) -> System:
        """Merges the members."""
        settings = dataclasses.asdict(self)
        settings.pop("base_model")
        base = None if self.base_model is None else bench.pool.find(self.base_model)
        members = merged_members(self.name, bench, base)
        said = remarks(self.name, members, base)
        made_from = one_structure([*members, *([base] if base else [])])
        trees = [member.params for member in made_from]
        params = merge_trees(
            functools.partial(type(self).function, **settings),
            trees[: len(members)],
            None if base is None else trees[-1],
            jax.random.key(bench.seed),
        )
        made_of = [member.identity for member in members] + ([base.identity] if base else [])
        recipe = digest(
            source_digest(type(self).function), settings, made_of, base is None, bench.seed
        )
        names = [member.name for member in members]
        merged = made_from[0].derive(f"{self.name}({'+'.join(names)})", params, recipe)
        return Merged.of(merged, members=names, base_model=self.base_model, remarks=said)
