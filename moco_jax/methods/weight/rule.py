"""What all methods have in common that merge every tensor by one rule of `moco_jax.trees`."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar

import jax

from moco_jax.decoding.keys import digest
from moco_jax.decoding.source import source_digest
from moco_jax.method import Method, Needs, Workbench
from moco_jax.methods.weight.bases import check_one_each, merged_infos, merged_members
from moco_jax.methods.weight.lineage import one_structure, remarks
from moco_jax.methods.weight.merged import Merged
from moco_jax.pool import Member, MemberInfo
from moco_jax.system import System
from moco_jax.trees import Layerwise, TiledMerge, merge_trees


@dataclasses.dataclass(frozen=True)
class RuleMerge(Method):
    """A method whose `rule` follows from its hyperparameters; it looks at no dev item."""

    needs: ClassVar[Needs] = Needs(members=2, same_architecture=True)

    @abc.abstractmethod
    def rule(self, layers: int) -> TiledMerge | Layerwise:
        """How a tensor is merged, in a model of so many layers."""

    def base_name(self) -> str | None:
        """Names the base of the rule, if it has one."""
        return None

    def helpers(self) -> dict[str, str]:
        """The base."""
        name = self.base_name()
        return {} if name is None else {"base": name}

    def check_helpers(self, infos: Sequence[MemberInfo], helpers: Mapping[str, MemberInfo]) -> None:
        """There is something to merge over the base."""
        super().check_helpers(infos, helpers)
        self.check_merged(merged_infos(self.name, infos, helpers.get("base")))

    def check_merged(self, members: Sequence[MemberInfo]) -> None:
        """Refuses hyperparameters that do not go with what is merged."""
        check_one_each(self.name, "weights", getattr(self, "weights", None), members)

    def fit(self, bench: Workbench) -> System:
        """Merges the members."""
        name = self.base_name()
        base = None if name is None else bench.pool.find(name)
        members = merged_members(self.name, bench, base)
        rule = self.rule(members[0].config.num_layers)
        merged = merge_members(self, members, base, rule, bench.seed)
        said = remarks(self.name, members, base)
        names = [member.name for member in members]
        return Merged.of(merged, members=names, base_model=name, remarks=said)


@dataclasses.dataclass(frozen=True)
class BasedMerge(RuleMerge):
    """A `RuleMerge` of what members changed in a base.

    Attributes:
        base_model: the base: a member of the pool, which then is not merged itself, or whatever
            `Pool.load` takes.
    """

    base_model: str

    def __post_init__(self) -> None:
        # Built only to be checked, so that a bad setting is refused before anything is loaded
        try:
            self.rule(1)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from error

    def base_name(self) -> str:
        """The hyperparameter."""
        return self.base_model


def merge_members(
    method: Method,
    members: Sequence[Member],
    base: Member | None,
    rule: TiledMerge | Layerwise,
    seed: int,
    weights: Sequence[float] | None = None,
) -> Member:
    """One member made of several.

    Args:
        method: names the result.
        members: what is merged.
        base: of the rule, or None.
        rule: how.
        seed: of random masks.
        weights: in place of the rule's.
    """
    made_from = one_structure([*members, *([base] if base else [])])
    trees = [member.params for member in made_from]
    params = merge_trees(
        rule,
        trees[: len(members)],
        None if base is None else trees[-1],
        jax.random.key(seed),
        weights=None if weights is None else jax.numpy.array(weights, jax.numpy.float32),
    )
    identities = [member.identity for member in (*members, *([base] if base else []))]
    settings = [rule.recipe(), None if weights is None else [float(w) for w in weights]]
    recipe = digest(source_digest(rule), settings, identities, base is None, seed)
    names = "+".join(member.name for member in members)
    return made_from[0].derive(f"{method.name}({names})", params, recipe)
