"""Merges that need not see a tensor whole: measured first, then applied piece by piece.

Every rule here has one shape: an origin (the base, the first model, or nothing), the models as
vectors from it, a few numbers measured on the whole tensor, and a combination of the vectors that
looks at one element (or one row) at a time. In memory a rule is a plain `Merge`; from disk to disk
it runs over pieces, so that a tensor of any size takes the memory of one piece.
"""

import abc
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp

from moco_jax.kernels.selection import kth_largest


class Measured(NamedTuple):
    """What is known of a whole tensor before its first element is merged. N models.

    Attributes:
        weights: f32[N] of the vectors.
        bounds: f32[N, K] the magnitudes of the K ranks asked for.
        scales: f32[N] what a vector is multiplied by after trimming.
    """

    weights: jax.Array
    bounds: jax.Array
    scales: jax.Array


class TiledMerge(abc.ABC):
    """A merge rule in three steps; subclasses are frozen dataclasses.

    Attributes:
        origin: where vectors start: at the base model, at the first model, or at zero.
        gram: whether `coefficients` needs the vectors' inner products.
    """

    origin: ClassVar[Literal["base", "first", "zero"]] = "base"
    gram: ClassVar[bool] = False

    @property
    def needs_sums(self) -> bool:
        """Whether scales are made from sums of magnitudes before and after trimming."""
        return False

    @property
    def whole_rows(self) -> bool:
        """Whether a piece must be whole rows (of the last axis)."""
        return False

    def ranks(self, size: int) -> tuple[int, ...]:
        """Which ranks of magnitude (1 is the largest of `size`) `Measured.bounds` holds."""
        del size
        return ()

    @abc.abstractmethod
    def coefficients(self, count: int, gram: jax.Array | None) -> jax.Array:
        """The vectors' weights f32[N], from their inner products f32[N, N] where asked for."""

    @abc.abstractmethod
    def combine(
        self, vectors: jax.Array, known: Measured, key: jax.Array, start: jax.Array
    ) -> jax.Array:
        """The merged piece as a vector from the origin.

        Args:
            vectors: f32[N, R, C], R rows of C elements.
            known: of the whole tensor.
            key: of the tensor.
            start: i32[] first element of the piece, in blocks of `draws.BLOCK`.

        Returns:
            f32[R, C].
        """

    @abc.abstractmethod
    def recipe(self) -> list[Any]:
        """JSON values that set this merge apart: a word of its own and its settings, in order.

        No class or field name is among them, so that renaming one changes no member's identity.
        """

    def unweighted(self) -> "TiledMerge":
        """This rule without what only `coefficients` looks at, so that it compiles once."""
        return self

    def sums(
        self, vectors: jax.Array, known: Measured, key: jax.Array, start: jax.Array
    ) -> jax.Array:
        """f32[2, N]: sums of magnitudes in this piece before and after trimming."""
        raise NotImplementedError(f"{type(self).__name__} needs no sums, so it measures none")

    def vectors(self, leaf: jax.Array, base: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        """(vectors like `leaf`, origin f32[...]) of leaf f32[N, ...].

        Raises:
            ValueError: the rule needs a base and there is none.
        """
        if self.origin == "zero":
            return leaf, jnp.zeros(())
        start = leaf[0] if self.origin == "first" else base
        if start is None:
            raise ValueError(
                f"{type(self).__name__} merges what models changed in a base; name the base"
            )
        return leaf - start, start

    def known(self, count: int, gram: jax.Array | None, bounds: jax.Array) -> Measured:
        """What is known before trimming is measured; all scales are 1."""
        return Measured(self.coefficients(count, gram), bounds, jnp.ones(count))

    def __call__(
        self,
        leaf: jax.Array,
        base: jax.Array | None,
        key: jax.Array,
        weights: jax.Array | None = None,
    ) -> jax.Array:
        """Merges a whole leaf f32[N, ...] into f32[...]; `weights` f32[N] replace its own."""
        vectors, origin = self.vectors(leaf, base)
        count, shape = leaf.shape[0], leaf.shape[1:]
        flat = vectors.reshape(count, -1)
        vectors = flat.reshape(count, -1, shape[-1] if shape else 1)
        found = [kth_largest(jnp.abs(flat), rank) for rank in self.ranks(flat.shape[1])]
        bounds = jnp.stack(found, axis=1) if found else jnp.zeros((count, 0))
        known = self.known(count, inner_products(flat) if self.gram else None, bounds)
        known = known if weights is None else known._replace(weights=weights)
        start = jnp.int32(0)
        if self.needs_sums:
            before, after = self.sums(vectors, known, key, start)
            known = known._replace(scales=ratio(before, after))
        return origin + self.combine(vectors, known, key, start).reshape(shape)


def inner_products(vectors: jax.Array) -> jax.Array:
    """f32[N, N] of f32[N, S]; at full precision also where products are narrow by default."""
    return jnp.einsum("is,js->ij", vectors, vectors, precision=jax.lax.Precision.HIGHEST)


def ratio(before: jax.Array, after: jax.Array) -> jax.Array:
    """`before` / `after`, and 1 where nothing is left."""
    return jnp.where(after > 0, before / jnp.where(after > 0, after, 1), 1.0)
