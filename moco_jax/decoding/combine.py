"""How the next-token logits of several members become one choice per row.

A `Combine` is the only part of joint decoding that differs between methods: two pure functions over
arrays whose first axis is the row, so that refilling a row resets just that row, and a grid of
settings is just more rows.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from moco_jax.kernels.fused_sample import mix

PyTree = Any


class Choice(NamedTuple):
    """What a policy decides in one step.

    Attributes:
        logits: f32[B, V] the distribution to draw from (filters and temperature still apply), and
            the one that log-probabilities are reported under.
        token: i32[B] the token itself, where the policy has already drawn it.
        speaker: i32[B] index of the member that is heard, where that makes sense.
        stop: bool[B] ends the row after this token.
    """

    logits: jax.Array
    token: jax.Array | None = None
    speaker: jax.Array | None = None
    stop: jax.Array | None = None


class Aux(NamedTuple):
    """What a policy may look at besides the logits.

    Attributes:
        step: i32[B] the row's own token index, from 0.
        previous: i32[B] the last token of the row's stream.
        draw: `(keys[B], logits f32[B, V]) -> i32[B]`, as the run draws tokens. Each draw of a step
            takes keys of its own: fold a number into those that `Combine.step` gets.
    """

    step: jax.Array
    previous: jax.Array
    draw: Callable[[jax.Array, jax.Array], jax.Array]


def no_carry(theta: PyTree) -> PyTree:
    """The initial carry of policies that remember nothing."""
    del theta
    return ()


@dataclasses.dataclass(frozen=True)
class Combine:
    """A policy of joint decoding; hashable, so that equal policies share one compiled program.

    Attributes:
        step: `(theta, carry, keys[B], logits f32[M, B, V], aux) -> (carry, Choice)`; the leaves of
            theta and carry lead with the row axis.
        init: `theta -> carry`.
        name: what random draws follow from, besides the members and the prompt: a constant, which
            outlives changes of the code. The code itself stands in cache keys, see `source`.
        tells: whether `step` says who is heard, so that responses keep it.
    """

    step: Callable[[PyTree, PyTree, jax.Array, jax.Array, Aux], tuple[PyTree, Choice]]
    init: Callable[[PyTree], PyTree] = no_carry
    name: str = ""
    tells: bool = False


def _first(theta, carry, keys, logits, aux):
    del theta, keys, aux
    return carry, Choice(logits=logits[0])


FIRST = Combine(_first, name="single")
"""The identity: one member speaks alone."""


def _weighted_logits(theta, carry, keys, logits, aux):
    del keys, aux
    return carry, Choice(logits=mix(theta, logits))


WEIGHTED_LOGITS = Combine(_weighted_logits, name="weighted_logits")
"""Sum of logits with weights theta f32[B, M]."""


def _weighted_logprobs(theta, carry, keys, logits, aux):
    return _weighted_logits(theta, carry, keys, jax.nn.log_softmax(logits), aux)


WEIGHTED_LOGPROBS = Combine(_weighted_logprobs, name="weighted_logprobs")
"""Sum of log-probabilities with weights theta f32[B, M] (a product of experts)."""


def _weighted_probs(theta, carry, keys, logits, aux):
    del keys, aux
    mixed = jax.nn.logsumexp(
        jax.nn.log_softmax(logits), axis=0, b=jnp.moveaxis(theta, 1, 0)[:, :, None]
    )
    return carry, Choice(logits=mixed)


WEIGHTED_PROBS = Combine(_weighted_probs, name="weighted_probs")
"""Log of the sum of probabilities with non-negative weights theta f32[B, M] (a mixture)."""


class Plausibility(NamedTuple):
    """Settings of a policy that `plausible` made; leaves lead with the row axis.

    Attributes:
        settings: theta of the policy itself.
        judge: i32[B] index of the member that says what is plausible.
        alpha: f32[B] in [0, 1]; 0 cuts nothing.
    """

    settings: PyTree
    judge: jax.Array | np.ndarray
    alpha: jax.Array | np.ndarray


@dataclasses.dataclass(frozen=True)
class _InnerCarry:
    init: Callable[[PyTree], PyTree]

    def __call__(self, theta: Plausibility) -> PyTree:
        return self.init(theta.settings)


@dataclasses.dataclass(frozen=True)
class _PlausibleStep:
    step: Callable[..., tuple[PyTree, Choice]]

    def __call__(
        self, theta: Plausibility, carry: PyTree, keys: jax.Array, logits: jax.Array, aux: Aux
    ) -> tuple[PyTree, Choice]:
        carry, choice = self.step(theta.settings, carry, keys, logits, aux)
        own = logits[theta.judge, jnp.arange(len(theta.judge))]
        reach = jnp.max(own, -1, keepdims=True) + jnp.log(theta.alpha)[:, None]
        return carry, choice._replace(logits=jnp.where(own >= reach, choice.logits, -jnp.inf))


def plausible(combine: Combine) -> Combine:
    """The policy, never choosing what one member finds implausible; theta is a `Plausibility`.

    A token stays if that member gives it at least `alpha` times the probability of the token it
    likes best (the adaptive plausibility constraint of contrastive decoding, arXiv 2210.15097,
    equation 2). Unlike the filter `min_p`, this looks at one member and not at the result, so a
    difference of members cannot raise what nobody would say. The policy must not draw the tokens.
    """
    return dataclasses.replace(
        combine,
        step=_PlausibleStep(combine.step),
        init=_InnerCarry(combine.init),
        name=f"plausible {combine.name}",
    )
