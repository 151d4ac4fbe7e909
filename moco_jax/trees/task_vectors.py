"""Merging what models changed in their base: one rule, and the published methods as its rows.

The merge is `base + lambda * combine(weight_i * trim(model_i - base))`, per tensor. Rows differ in
what they trim, whether they elect a sign per element, and what they divide by.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp

from moco_jax.kernels import ties_merge
from moco_jax.trees.draws import LEVELS, draw
from moco_jax.trees.tiled import Measured, TiledMerge

Trim = Literal["none", "magnitude", "outliers", "random", "rank"]
Rescale = Literal["none", "density", "l1"]
_NOTHING = 1e-8
"""Sums of weights below which nothing is divided by them."""


@dataclasses.dataclass(frozen=True)
class TaskVectorMerge(TiledMerge):
    """The generalized merge of task vectors; nothing is normalised that a field does not name.

    Attributes:
        trim: what stays of a task vector: everything; the largest magnitudes ("magnitude"); the
            largest but for the outliers above them ("outliers"); a random share ("random"); or a
            random share that favours what is large in its row ("rank").
        density: share of a tensor's elements that stays.
        gamma: with "outliers", the share of largest magnitudes that goes.
        epsilon: with "rank", how far chances of staying lie around the density.
        rescale: what stays is left alone, divided by its chance of staying ("density"), or made to
            have the L1 norm from before ("l1").
        elect: per element, only vectors of the sign with the larger weighted sum take part.
        normalize: the sum is divided by the weights that took part: not those of what was dropped.
        weights: one per model; a number is that of each; None is 1/N.
        lambda_: scales the merged task vector.
    """

    trim: Trim = "none"
    density: float = 1.0
    gamma: float = 0.0
    epsilon: float = 0.0
    rescale: Rescale = "none"
    elect: bool = False
    normalize: bool = False
    weights: tuple[float, ...] | float | None = None
    lambda_: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.density <= 1:
            raise ValueError(f"density is {self.density!r}; it must be above 0 and at most 1")
        if not 0 <= self.gamma < 1:
            raise ValueError(f"gamma is {self.gamma!r}; it must be at least 0 and below 1")
        reach = self.density - self.epsilon, self.density + self.epsilon
        if self.epsilon < 0 or (self.trim == "rank" and not (reach[0] > 0 and reach[1] <= 1)):
            raise ValueError(
                f"epsilon is {self.epsilon!r} around density {self.density!r}; chances of staying, "
                "density - epsilon to density + epsilon, must lie above 0 and at most at 1"
            )

    @property
    def needs_sums(self) -> bool:
        """Only the L1 norm must be known before anything is merged."""
        return self.rescale == "l1" and self.trim != "none"

    @property
    def whole_rows(self) -> bool:
        """Ranks are those within a row."""
        return self.trim == "rank"

    def ranks(self, size: int) -> tuple[int, ...]:
        """Of the smallest magnitude that stays, and of the largest one."""
        kept = max(1, int(self.density * size))
        if self.trim == "magnitude":
            return (kept,)
        if self.trim == "outliers":
            cut = min(int(self.gamma * size), size - kept)
            return (cut + kept, cut + 1)
        return ()

    def coefficients(self, count: int, gram: jax.Array | None = None) -> jax.Array:
        """The weights f32[N].

        Raises:
            ValueError: there are not as many as models.
        """
        del gram
        if isinstance(self.weights, tuple) and len(self.weights) != count:
            raise ValueError(f"weights are {self.weights!r} for {count} models; pass one for each")
        if self.weights is None:
            return jnp.full(count, 1.0 / count)
        return jnp.broadcast_to(jnp.array(self.weights, jnp.float32), (count,))

    def recipe(self) -> list[Any]:
        """Where vectors start, what stays of them, and how they are added up."""
        trim = [self.trim, self.density, self.gamma, self.epsilon, self.rescale]
        return [f"from {self.origin}", trim, self.elect, self.normalize, self.weights, self.lambda_]

    def unweighted(self) -> "TaskVectorMerge":
        """Weights reach `combine` as an array."""
        return dataclasses.replace(self, weights=None)

    def combine(
        self, vectors: jax.Array, known: Measured, key: jax.Array, start: jax.Array
    ) -> jax.Array:
        """Trims, elects and adds up."""
        # One list entry per model: XLA fuses this into one pass over the vectors
        factors = known.weights * known.scales
        pulls = list(factors[:, None, None] * self.trimmed(vectors, known, key, start))
        masses = list(known.weights)
        if self.elect:
            elected = jnp.where(sum(pulls) >= 0, 1.0, -1.0)
            agrees = [jnp.sign(pull) == elected for pull in pulls]
            pulls = [jnp.where(a, p, 0.0) for a, p in zip(agrees, pulls, strict=True)]
            masses = [jnp.where(a, m, 0.0) for a, m in zip(agrees, masses, strict=True)]
        total = self.lambda_ * sum(pulls)
        if not self.normalize:
            return total
        mass = sum(masses)
        return total / jnp.where(jnp.abs(mass) < _NOTHING, 1.0, mass)

    def __call__(
        self,
        leaf: jax.Array,
        base: jax.Array | None,
        key: jax.Array,
        weights: jax.Array | None = None,
    ) -> jax.Array:
        """Merges a whole leaf f32[N, ...] into f32[...]; `weights` f32[N] replace its own."""
        if not (self.trim == "magnitude" and self.elect and self.rescale == "none"):
            return super().__call__(leaf, base, key, weights)
        vectors, origin = self.vectors(leaf, base)
        weights = self.coefficients(len(leaf)) if weights is None else weights
        flat = vectors.reshape(len(leaf), -1)
        merged = ties_merge(flat, weights, self.density, normalize=self.normalize)
        return origin + self.lambda_ * merged.reshape(leaf.shape[1:])

    def sums(
        self, vectors: jax.Array, known: Measured, key: jax.Array, start: jax.Array
    ) -> jax.Array:
        """Magnitudes before and after trimming."""
        pair = jnp.stack([vectors, self.trimmed(vectors, known, key, start)])
        return jnp.abs(pair).sum((2, 3))

    def trimmed(
        self, vectors: jax.Array, known: Measured, key: jax.Array, start: jax.Array
    ) -> jax.Array:
        """What stays of the vectors f32[N, R, C]; zero elsewhere."""
        if self.trim == "none":
            return vectors
        if self.trim in ("magnitude", "outliers"):
            sizes = jnp.abs(vectors)
            stays = sizes >= known.bounds[:, 0, None, None]
            if self.trim == "outliers":
                stays &= sizes <= known.bounds[:, 1, None, None]
            return self._rescaled(jnp.where(stays, vectors, 0.0), jnp.float32(self.density))
        count, rows, columns = vectors.shape
        drawn = draw(key, start, count, rows * columns).reshape(vectors.shape)
        chance = jnp.float32(self.density) if self.trim == "random" else self._chances(vectors)
        stays = drawn < jnp.round(chance * LEVELS).astype(jnp.uint32)
        return self._rescaled(jnp.where(stays, vectors, 0.0), chance)

    def _chances(self, vectors: jax.Array) -> jax.Array:
        """Chances of staying that rise evenly with the rank of a magnitude in its row."""
        order = jnp.argsort(jnp.argsort(jnp.abs(vectors), axis=-1), axis=-1)
        place = order / max(1, vectors.shape[-1] - 1)
        return self.density + self.epsilon * (2 * place - 1)

    def _rescaled(self, kept: jax.Array, chance: jax.Array) -> jax.Array:
        return kept / chance if self.rescale == "density" else kept


@dataclasses.dataclass(frozen=True)
class Average(TaskVectorMerge):
    """The uniform mean of the models, for which no base is needed.

    It is taken around the first model, so that equal models give themselves to the bit.
    """

    origin = "first"


@dataclasses.dataclass(frozen=True)
class Linear(TaskVectorMerge):
    """A linear combination of the models themselves, whatever their weights add up to."""

    origin = "zero"


TASK_VECTOR_MERGES: Mapping[str, TaskVectorMerge] = {
    "average": Average(),
    "task_arithmetic": TaskVectorMerge(weights=1.0, lambda_=0.4),
    "ties": TaskVectorMerge("magnitude", density=0.2, elect=True, normalize=True),
    "dare": TaskVectorMerge("random", density=0.5, rescale="density", weights=1.0, lambda_=0.4),
    "dare_ties": TaskVectorMerge("random", density=0.5, rescale="density", elect=True),
    "della": TaskVectorMerge("rank", density=0.5, epsilon=0.15, rescale="density", elect=True),
    "breadcrumbs": TaskVectorMerge("outliers", density=0.15, gamma=0.01, weights=1.0, lambda_=0.3),
}
"""Published merges: average (2203.05482), task arithmetic (2212.04089), TIES (2306.01708), DARE and
DARE-TIES (2311.03099), DELLA (2406.11617), model breadcrumbs (2312.06795).

Defaults are the papers' where they name one for all cases: lambda 0.4 for task arithmetic and
density 0.2 for TIES (2306.01708, section 5). Where rescaling makes up for what was dropped nothing
is divided by the weights that are left, which would make up for it again."""
