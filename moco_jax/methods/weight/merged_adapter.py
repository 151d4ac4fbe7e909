"""The system of weight methods whose result is an adapter: saved as such, beside its base."""

import dataclasses
import os
import pathlib
import re
from typing import Any

import jax
from flax import traverse_util

from moco_jax.methods.weight.merged import FOLDER, Merged
from moco_jax.models.decoder import Bank
from moco_jax.models.lora import Adapter, save_adapter
from moco_jax.models.lora_config import LoraConfig, module_name
from moco_jax.models.lora_files import load_adapter
from moco_jax.pool import Member, inspect, variants


@dataclasses.dataclass(frozen=True)
class MergedAdapter(Merged):
    """One member, an adapter over a base, answers everything.

    Attributes:
        base: path or hub id of the base.
        adapter: the adapter.
    """

    base: str = ""
    adapter: Adapter | None = dataclasses.field(
        default=None, metadata={"json": False}, repr=False, compare=False
    )

    @classmethod
    def over(cls, member: Member, adapter: Adapter, **notes: Any) -> "MergedAdapter":
        """The system of a member that is a population of one adapter; `notes` are JSON values."""
        path = member.info.path
        base = os.path.abspath(path) if os.path.isdir(path) else path
        found = tuple(notes.items())
        known = member.name, member.identity, member.dtype, found, member.draws
        return cls(member, *known, base, adapter)

    def save_arrays(self, directory: pathlib.Path) -> None:
        """Writes the adapter, which PEFT, vLLM and `Pool.load` read, into `model/`."""
        if self.adapter is None:
            raise ValueError(f"{self.name} was made without its adapter; use MergedAdapter.over")
        save_adapter(directory / FOLDER, self.adapter, self.base)
        self.member.tokenizer.save_pretrained(directory / FOLDER)

    @classmethod
    def restore(cls, fields: dict[str, Any], directory: pathlib.Path) -> "MergedAdapter":
        """Reads the adapter back, and its base from where it was."""
        info = inspect(str(directory / FOLDER), fields["name"])
        base = Member.load(dataclasses.replace(info, adapter=None), fields["dtype"])
        adapter = load_adapter(directory / FOLDER)
        (member,) = variants(base, [fields["name"]], [""], adapters=[adapter])
        member = dataclasses.replace(member, identity=fields["identity"], draws=fields["draws"])
        return cls(member, adapter=adapter, **fields)


def bank_adapter(bank: Bank, place: int = 0) -> Adapter:
    """One adapter of a bank, with scales of 1: the bank's are folded into its factors.

    Args:
        bank: "a" [N, in, r] and "b" [N, r, out] per module; ranks may differ between modules.
        place: which of the N.
    """
    factors: dict[str, dict[str, jax.Array]] = {}
    for path, leaf in traverse_util.flatten_dict(bank, sep="/").items():
        module, _, side = path.rpartition("/")
        factors.setdefault(module, {})[side] = leaf[place]
    ranks = {module: factor["a"].shape[1] for module, factor in factors.items()}
    widest = max(ranks.values())
    odd = {re.escape(module_name(m)): rank for m, rank in ranks.items() if rank != widest}
    config = LoraConfig(
        rank=widest,
        alpha=float(widest),
        targets=tuple(module_name(module) for module in factors),
        rank_pattern=tuple(odd.items()),
        alpha_pattern=tuple((pattern, float(rank)) for pattern, rank in odd.items()),
    )
    return Adapter(factors, config)
