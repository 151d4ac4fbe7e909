"""Linear combinations of a pool's members as candidates of a search, and the one that is kept.

Particle swarms only ever add and scale their particles, so that every particle is a combination of
the members it began with. A search holds the coefficients f32[P, N] and no weights; candidates are
made from the members, in float32, when they are asked.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from moco_jax.decoding.keys import digest
from moco_jax.decoding.source import source_digest
from moco_jax.method import NeedsError
from moco_jax.methods.weight.lineage import one_structure, remarks
from moco_jax.methods.weight.merged import Merged
from moco_jax.methods.weight.merged_adapter import MergedAdapter, bank_adapter
from moco_jax.models import lora
from moco_jax.models.decoder import Bank
from moco_jax.models.lora_files import load_adapter
from moco_jax.pool import Member, MemberInfo, Pool, variants
from moco_jax.trees.low_rank import Space, combine, mixtures


@dataclasses.dataclass(frozen=True, eq=False)
class Stock:
    """What candidates are made from.

    Attributes:
        members: N of one architecture.
        base: under the adapters, where all members are adapters over one base; else None.
        bank: the N adapters, scales folded in; else None.
    """

    members: tuple[Member, ...]
    base: Member | None = None
    bank: Bank | None = None

    @classmethod
    def of(cls, pool: Pool) -> "Stock":
        """The members of a pool; adapters over one base stay adapters."""
        members = tuple(pool)
        infos = [member.info for member in members]
        if not all(info.adapter for info in infos) or len({info.path for info in infos}) > 1:
            return cls(tuple(one_structure(members)))
        places = [one.variant.place for one in members if one.variant is not None]
        held = members[0].variant
        if held is None or held.population.bank is None or len(places) < len(members):
            return cls(members, *_from_disk(members))
        index = np.array(places)
        bank = jax.tree.map(lambda leaf: leaf[index], held.population.bank)
        base = dataclasses.replace(members[0], weights=held.population.params)
        return cls(members, base, bank)

    def candidates(self, label: str, weights: np.ndarray, space: Space) -> list[Member]:
        """Members that share one program, so that they are asked side by side.

        A row that takes one member alone is that member, whose answers may be known.

        Args:
            label: what they are all called.
            weights: f32[P, N].
            space: how adapters are combined; whole weights have but one way.
        """
        alone = [_alone(row) for row in weights]
        new = [place for place, one in enumerate(alone) if one is None]
        made = iter(self._mixed(label, weights[new], space) if new else ())
        return [next(made) if one is None else self.members[one] for one in alone]

    def kept(self, label: str, weights: np.ndarray, space: Space, **notes: Any) -> Merged:
        """The system of one combination.

        Args:
            label: its name.
            weights: f32[N].
            space: how adapters are combined.
            notes: JSON values about how it was found.
        """
        recipe, notes = self._recipe(weights, space), {**notes, "remarks": self._remarks(label)}
        if self.bank is None or self.base is None:
            if (only := _alone(weights)) is not None:
                return Merged.of(self.members[only], **notes)
            params = jax.tree.map(lambda leaf: leaf[0], self._whole(weights[None]))
            return Merged.of(self.members[0].derive(label, params, recipe), **notes)
        adapter = bank_adapter(combine(self.bank, jnp.asarray(weights[None]), space))
        (member,) = variants(self.base, [label], [recipe], adapters=[adapter])
        return MergedAdapter.over(member, adapter, **notes)

    def _remarks(self, label: str) -> list[str]:
        # Adapters over one base share all that could be said of them
        return remarks(label, self.members, None) if self.bank is None else []

    def _mixed(self, label: str, weights: np.ndarray, space: Space) -> list[Member]:
        recipes = [self._recipe(row, space) for row in weights]
        names = [label] * len(weights)
        if self.bank is None or self.base is None:
            return variants(self.members[0], names, recipes, params=self._whole(weights))
        bank = combine(self.bank, jnp.asarray(weights), space)
        adapters = [bank_adapter(bank, place) for place in range(len(weights))]
        return variants(self.base, names, recipes, adapters=adapters)

    def _whole(self, weights: np.ndarray) -> Any:
        return mixtures([member.params for member in self.members], jnp.asarray(weights))

    def _recipe(self, row: np.ndarray, space: Space) -> str:
        identities = [member.identity for member in self.members]
        kind = "weights" if self.bank is None else space
        code = source_digest(mixtures if self.bank is None else combine)
        return digest(code, kind, identities, [float(weight) for weight in row])


def check_adapters(method: str, space: str, infos: Sequence[MemberInfo]) -> None:
    """Raises NeedsError unless all are adapters over one base."""
    if not all(info.adapter for info in infos) or len({info.path for info in infos}) > 1:
        names = ", ".join(info.name for info in infos)
        raise NeedsError(
            f"{method}: space={space!r} combines LoRA adapters over one base, and the pool has "
            f"other members: {names}; pass adapters, or space='weights'"
        )


def combined_adapters(
    method: str, members: Sequence[Member], weights: Sequence[float], space: Space, **notes: Any
) -> Merged:
    """The system of one combination of adapters, which stays an adapter.

    Args:
        method: names the result.
        members: adapters over one base.
        weights: one per member; nothing is normalised.
        space: how they are combined.
        notes: JSON values about how it was made.

    Raises:
        NeedsError: the members are something else.
    """
    check_adapters(method, space, [member.info for member in members])
    stock, names = Stock.of(Pool(members)), [member.name for member in members]
    label, row = f"{method}({'+'.join(names)})", np.array(weights, np.float32)
    return stock.kept(label, row, space, members=names, **notes)


def _from_disk(members: Sequence[Member]) -> tuple[Member, Bank]:
    """Base and bank of adapters that stand in the pool merged into their base."""
    first, loaded = members[0], {}
    for info in (member.info for member in members):
        if info.adapter and info.adapter not in loaded:
            loaded[info.adapter] = load_adapter(info.adapter)
    bank = lora.stack_adapters([loaded[member.info.adapter or ""] for member in members])
    # Of the pool's own kind: a plan has members that read no weights
    base = type(first).load(dataclasses.replace(first.info, adapter=None), first.dtype)
    return base, bank


def _alone(row: np.ndarray) -> int | None:
    """The member that a row takes alone and whole, or None."""
    (taken,) = np.nonzero(row)
    return int(taken[0]) if len(taken) == 1 and row[taken[0]] == 1 else None
