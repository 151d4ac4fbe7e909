"""Populations: many parameter sets of one architecture, each with streams of its own."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from moco_jax.decoding.groups import Group, Weights
from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import Bank
from moco_jax.models.lora import merge_bank

PyTree = Any


@dataclasses.dataclass(frozen=True, eq=False)
class Population:
    """N parameter sets whose rows are decoded side by side in one program.

    Attributes:
        params: weights that all share under a bank; without one, weights with a leading axis
            [N, ...].
        bank: LoRA factors with a leading axis (`lora.stack_adapters`), or None.
        size: N.
    """

    params: PyTree
    bank: Bank | None
    size: int

    def __post_init__(self) -> None:
        leading = self.params if self.bank is None else self.bank
        for leaf in jax.tree.leaves(leading):
            if leaf.shape[0] != self.size:
                raise ValueError(
                    f"a population of {self.size} needs leaves that lead with {self.size}; one is "
                    f"{list(leaf.shape)}"
                )

    def select(self, places: Sequence[int]) -> "Population":
        """Some of its sets, in this order; all of them in their order are no copy."""
        if list(places) == list(range(self.size)):
            return self
        index = np.array(places)
        if self.bank is None:
            return Population(jax.tree.map(lambda x: x[index], self.params), None, len(index))
        bank = jax.tree.map(lambda x: x[index], self.bank)
        return Population(self.params, bank, len(index))

    @property
    def weights(self) -> Weights:
        """What a group of all its sets computes with."""
        return Weights(self.params, self.bank)

    def group(self, config: ModelConfig, mixed: bool) -> Group:
        """Its static side.

        Args:
            config: the architecture.
            mixed: rows may ask for any set; otherwise they are N equal shares. Weights that all
                differ always come in shares.
        """
        if self.bank is None:
            return Group(config, self.size, "stack")
        return Group(config, self.size, "mixed" if mixed else "shares")


@dataclasses.dataclass(frozen=True, eq=False)
class Variant:
    """One parameter set of a population, by its place."""

    population: Population
    place: int

    @functools.cached_property
    def alone(self) -> Population:
        """A population of it alone."""
        return self.population.select([self.place])

    @functools.cached_property
    def params(self) -> PyTree:
        """Its full weights, one leaf per checkpoint tensor."""
        if self.alone.bank is None:
            return jax.tree.map(lambda leaf: leaf[0], self.alone.params)
        return merge_bank(self.alone.params, self.alone.bank)
