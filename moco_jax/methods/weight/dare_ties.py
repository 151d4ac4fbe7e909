"""Task vectors are sparsified, agree on signs, and are merged with given or searched weights."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from moco_jax.method import Workbench
from moco_jax.methods.checks import one_of, within
from moco_jax.methods.weight.bases import merged_members
from moco_jax.methods.weight.lineage import one_structure, remarks
from moco_jax.methods.weight.merged import Merged
from moco_jax.methods.weight.rule import RuleMerge, merge_members
from moco_jax.methods.weight.search import by_evolution, by_swarm, dev_scores_of, side_by_side
from moco_jax.pool import Member
from moco_jax.system import System
from moco_jax.trees import TaskVectorMerge, pso

TRIMS: dict[str, Literal["random", "magnitude", "none"]] = {
    "dare": "random",
    "ties": "magnitude",
    "none": "none",
}
RESCALES: dict[str, Literal["density", "l1", "none"]] = {
    "inverse_density": "density",
    "l1": "l1",
    "none": "none",
}


@dataclasses.dataclass(frozen=True)
class DareTies(RuleMerge, pso.SwarmSettings):
    """Drops a random share of each task vector, rescales the rest, and merges what agrees in sign.

    Source: DARE, arXiv 2311.03099, and TIES-merging, arXiv 2306.01708.

    Cost: one generation per item; with mode="optimized" also `population * max_iterations` greedy
    dev passes, all particles of a round at once.

    Departures: something is dropped (the reference leaves density at 1, which drops and trims
    nothing), the masks of all steps and particles are the same and follow the run's seed, what
    stays is divided by its chance of staying, and the search restarts and ends as that of
    weight_model_swarms. density=1 is the reference's merge. The papers' code divides by the models
    that agree after the drop; that is normalize=true, and off by default as in mergekit: rescaling
    makes up for what was dropped, and dividing by what is left does so again
    (docs/levels/weight.md has the numbers).

    Attributes:
        base_model_name: the base: a member of the pool, which then is not merged itself, or
            whatever `Pool.load` takes.
        mode: "average" weighs all members alike; "optimized" searches softmax weights on the greedy
            dev score.
        density: share of each task vector that stays.
        trim: how it is chosen: at random ("dare"), by magnitude ("ties"), or not ("none").
        rescale: what stays is divided by the density ("inverse_density"), made to have the L1 norm
            from before ("l1"), or left alone; only with trim="dare".
        normalize: divide by the weights that stayed and agree (the disjoint mean); meant for
            rescale="none", trim="ties" or trim="none".
        lambda_: scales the merged task vector.
        search: by particle swarm ("pso"), or by evolution ("cma_es", arXiv 1604.00772), which reads
            population, max_iterations and patience alone.
        population: particles of the search, the first of them the uniform average.
        particles_at_once: particles merged and asked side by side; null is all of a round.
        max_iterations: rounds of the search, at most.
        starting_velocity_mode: particles start at "random" velocities or at rest ("zero").

    How they move is set by the attributes of `trees.pso.SwarmSettings`.
    """

    name: ClassVar[str] = "weight_dare_ties"

    base_model_name: str
    mode: Literal["average", "optimized"] = "average"
    density: float = 0.5
    trim: Literal["dare", "ties", "none"] = "dare"
    rescale: Literal["inverse_density", "l1", "none"] = "inverse_density"
    normalize: bool = False
    lambda_: float = 1.0
    search: Literal["pso", "cma_es"] = "pso"
    population: int = 5
    max_iterations: int = 5
    particles_at_once: int | None = None
    starting_velocity_mode: Literal["random", "zero"] = "random"

    def __post_init__(self) -> None:
        one_of(self, "mode", ("average", "optimized"))
        one_of(self, "search", ("pso", "cma_es"))
        one_of(self, "trim", tuple(TRIMS))
        one_of(self, "rescale", tuple(RESCALES))
        within(self, "population", 2)
        within(self, "max_iterations", 1)
        if self.particles_at_once is not None:
            within(self, "particles_at_once", 1)
        one_of(self, "starting_velocity_mode", ("random", "zero"))
        try:
            self.rule(1)
            pso.SwarmSettings.__post_init__(self)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from error

    def base_name(self) -> str:
        """The hyperparameter."""
        return self.base_model_name

    def rule(self, layers: int) -> TaskVectorMerge:
        """Trim, elect, merge."""
        del layers
        return TaskVectorMerge(
            TRIMS[self.trim],
            density=self.density,
            rescale=RESCALES[self.rescale] if self.trim == "dare" else "none",
            elect=True,
            normalize=self.normalize,
            lambda_=self.lambda_,
        )

    def fit(self, bench: Workbench) -> System:
        """Merges; searches the weights on dev first, where asked to."""
        if self.mode == "average":
            return super().fit(bench)
        base = bench.pool.find(self.base_model_name)
        members = merged_members(self.name, bench, base)
        weights, score = self._search(bench, members, base)
        merged = self._merge(bench, members, base, weights)
        return Merged.of(
            merged,
            members=[member.name for member in members],
            base_model=self.base_model_name,
            best_weights=weights,
            dev_score=score,
            remarks=remarks(self.name, members, base),
        )

    def _merge(
        self, bench: Workbench, members: list[Member], base: Member, weights: Sequence[float]
    ) -> Member:
        return merge_members(self, members, base, self.rule(1), bench.seed, weights)

    def _search(
        self, bench: Workbench, members: list[Member], base: Member
    ) -> tuple[list[float], float]:
        """The best weights found, and their dev score."""

        kin = one_structure([*members, base])[0]

        def worth(points: np.ndarray) -> list[float]:
            weights, scores = _softmax(points), []
            step = self.particles_at_once or len(weights)
            for first in range(0, len(weights), step):
                part = weights[first : first + step]
                made = (self._merge(bench, members, base, one) for one in part)
                # No name holds the candidates, so that they are gone before the next are made
                scores += dev_scores_of(bench, side_by_side(kin, made, len(part)))
            logging.info("%s: weights %s score %s on dev", self.name, weights, scores)
            return scores

        key, size, rounds = jax.random.key(bench.seed), len(members), self.max_iterations
        if self.search == "cma_es":
            found = by_evolution(
                worth, [0.0] * size, 1.0, self.population, rounds, key, patience=self.patience
            )
        else:
            started, velocity = jax.random.fold_in(key, 0), self.starting_velocity_mode
            positions, velocities = pso.scatter(started, self.population, size, velocity)
            positions = positions.at[0].set(0.0)
            found = by_swarm(worth, self, positions, velocities, rounds, key)
        return _softmax(found.point), found.worth


def _softmax(points: np.ndarray) -> list[Any]:
    return np.asarray(jax.nn.softmax(jnp.asarray(points))).tolist()
