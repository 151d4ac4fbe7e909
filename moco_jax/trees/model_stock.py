"""Model stock (arXiv 2403.19522): how far to go from the base to the average, from the angles."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from moco_jax.trees.spherical import Combination

_SINGULAR = 1e-6


@dataclasses.dataclass(frozen=True)
class ModelStock(Combination):
    """Interpolates between the base and the models' average (equation 8).

    The share of the average is `N c / (1 + (N - 1) c)`, where c is the mean cosine between the
    models' task vectors in this tensor: the more they agree, the nearer to their average. Where
    they cancel out, so that there is no such share, the base stays. A single model has no angle to
    another and stays as it is.
    """

    def recipe(self) -> list[Any]:
        """It has no settings."""
        return ["model stock"]

    def coefficients(self, count: int, gram: jax.Array | None) -> jax.Array:
        """f32[N], all equal."""
        if count == 1:
            return jnp.ones(1)
        gram = jnp.asarray(gram, jnp.float32)
        norms = jnp.sqrt(jnp.diagonal(gram))
        products = norms[:, None] * norms[None, :]
        cosines = jnp.where(products > 0, gram / jnp.where(products > 0, products, 1), 0.0)
        cosine = jnp.clip(cosines, -1, 1)[jnp.triu_indices(count, 1)].mean()
        divisor = 1 + (count - 1) * cosine
        singular = jnp.abs(divisor) < _SINGULAR
        share = jnp.where(singular, 0.0, count * cosine / jnp.where(singular, 1.0, divisor))
        return jnp.full(count, share / count)
