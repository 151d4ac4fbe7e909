"""Merging along great circles: SLERP of two models, the Karcher mean of many.

Both are linear combinations whose coefficients follow from the tensors' inner products alone.
"""

import dataclasses
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp

from moco_jax.trees.tiled import Measured, TiledMerge

_STRAIGHT = 0.9995
"""Cosines beyond which an arc is taken as its chord: its sine is too small to divide by."""


class Combination(TiledMerge):
    """A linear combination of the vectors by their coefficients."""

    gram: ClassVar[bool] = True

    def combine(
        self, vectors: jax.Array, known: Measured, key: jax.Array, start: jax.Array
    ) -> jax.Array:
        """The weighted sum."""
        del key, start
        return (known.weights[:, None, None] * vectors).sum(0)


@dataclasses.dataclass(frozen=True)
class Slerp(Combination):
    """Goes the share `t` of the way from the first model to the second along the arc between them.

    The coefficients are those of the unit tensors, applied to the tensors as they are; tensors that
    are nearly parallel or opposite, or zero, are interpolated linearly.

    Attributes:
        t: 0 is the first model, 1 the second.
    """

    origin: ClassVar[Literal["base", "first", "zero"]] = "zero"
    t: float = 0.5

    def recipe(self) -> list[Any]:
        """How far it goes."""
        return ["arc", self.t]

    def unweighted(self) -> "Slerp":
        """`t` reaches `combine` as coefficients."""
        return Slerp()

    def coefficients(self, count: int, gram: jax.Array | None) -> jax.Array:
        """f32[2].

        Raises:
            ValueError: there are not two models.
        """
        if count != 2:
            raise ValueError(f"SLERP goes from one model to another; there are {count}")
        gram = jnp.asarray(gram, jnp.float32)
        square = gram[0, 0] * gram[1, 1]
        cosine = jnp.clip(gram[0, 1] / _norm(square), -1, 1)
        straight = (jnp.abs(cosine) > _STRAIGHT) | (square == 0)
        angle = jnp.arccos(jnp.where(straight, 0.0, cosine))
        shares = jnp.array([1 - self.t, self.t], jnp.float32)
        return jnp.where(straight, shares, jnp.sin(shares * angle) / jnp.sin(angle))


@dataclasses.dataclass(frozen=True)
class Karcher(Combination):
    """The point of the sphere nearest to all models in squared arc length, at their mean norm.

    The Karcher (Riemannian) mean of the tensors' directions, found by gradient steps (Karcher,
    1977; Afsari, 2011). Zero tensors have no direction and only lower the norm.

    Attributes:
        weights: one per model, None is 1/N; directions are weighed by their shares.
        max_iterations: gradient steps at most.
        tolerance: a step shorter than this ends the search.
    """

    origin: ClassVar[Literal["base", "first", "zero"]] = "zero"
    weights: tuple[float, ...] | None = None
    max_iterations: int = 10
    tolerance: float = 1e-5

    def recipe(self) -> list[Any]:
        """How the mean is found."""
        return ["mean on the sphere", self.weights, self.max_iterations, self.tolerance]

    def unweighted(self) -> "Karcher":
        """All settings reach `combine` as coefficients."""
        return Karcher()

    def coefficients(self, count: int, gram: jax.Array | None) -> jax.Array:
        """f32[N].

        Raises:
            ValueError: there are not as many weights as models.
        """
        if self.weights is not None and len(self.weights) != count:
            raise ValueError(f"weights are {self.weights!r} for {count} models; pass one for each")
        shares = jnp.array(self.weights or [1.0 / count] * count, jnp.float32)
        gram = jnp.asarray(gram, jnp.float32)
        norms = jnp.sqrt(jnp.diagonal(gram))
        inverse = jnp.where(norms > 0, 1 / _norm(norms**2), 0.0)
        units = gram * inverse[:, None] * inverse[None, :]
        pulls = jnp.where(norms > 0, shares, 0.0)
        pulls = pulls / jnp.where(pulls.sum() == 0, 1.0, pulls.sum())

        def length(point: jax.Array) -> jax.Array:
            return jnp.sqrt(jnp.maximum(point @ units @ point, 0.0))

        def step(_: int, point: jax.Array) -> jax.Array:
            cosines = jnp.clip(units @ point, -1, 1)
            angles = jnp.arccos(cosines)
            sines = jnp.sin(angles)
            stretch = jnp.where(sines > self.tolerance, angles / _norm(sines**2), 1.0) * pulls
            tangent = stretch - (stretch @ cosines) * point
            far = length(tangent)
            onward = jnp.cos(far) * point + jnp.sin(far) * tangent / _norm(far**2)
            onward = onward / _norm(length(onward) ** 2)
            return jnp.where(far < self.tolerance, point, onward)

        # Directions that cancel have no mean to start from
        balanced = length(pulls) < self.tolerance
        first = jnp.where(balanced, jnp.eye(count)[jnp.argmax(norms > 0)], pulls)
        first = first / _norm(length(first) ** 2)
        point = jax.lax.fori_loop(0, self.max_iterations, step, first)
        return (shares @ norms) * point * inverse


def _norm(square: jax.Array) -> jax.Array:
    """The root, or 1 where it is 0 and would be divided by."""
    return jnp.where(square > 0, jnp.sqrt(square), 1.0)
