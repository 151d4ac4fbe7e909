"""Nudging between members of one vocabulary: both read every token, and one of them is heard."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from moco_jax.decoding.combine import Aux, Choice, Combine
from moco_jax.decoding.pieces import pieces
from moco_jax.decoding.types import Request, Response, Sampling, Turn
from moco_jax.methods.api.words import breaking, word_breaks
from moco_jax.system import Context

BASE, NUDGER = 0, 1


@dataclasses.dataclass(frozen=True)
class NudgeStep:
    """Who is heard next, as a step of joint decoding of (base, nudger).

    Attributes:
        breaks: as of `word_breaks`.
        ends: tokens that end an answer.
        base_may_end: the base ends the answer; else its end leaves the word to the nudger.
        agreement: the base also takes over where both want the same next token.
    """

    breaks: bytes
    ends: tuple[int, ...]
    base_may_end: bool
    agreement: bool

    def __call__(
        self, gamma: jax.Array, nudged: jax.Array, keys: jax.Array, logits: jax.Array, aux: Aux
    ) -> tuple[jax.Array, Choice]:
        """One token per row.

        Args:
            gamma: f32[B].
            nudged: bool[B] whether the nudger was heard last.
            keys: [B].
            logits: f32[2, B, V].
            aux: for the draws.
        """
        base, nudger = (
            aux.draw(jax.vmap(jax.random.fold_in, (0, None))(keys, member), logits[member])
            for member in (BASE, NUDGER)
        )
        sure = jnp.max(jax.nn.softmax(logits[BASE]), axis=-1) >= gamma
        new_word = breaking(self.breaks, nudger)
        yields = sure | (base == nudger) if self.agreement else sure
        base_speaks = jnp.where(nudged, new_word & yields, sure) & (aux.step > 0)
        if not self.base_may_end:
            base_speaks &= ~jnp.any(base[:, None] == jnp.array(self.ends), -1)
        return ~base_speaks, Choice(
            logits=jnp.where(base_speaks[:, None], logits[BASE], logits[NUDGER]),
            token=jnp.where(base_speaks, base, nudger),
            speaker=jnp.where(base_speaks, BASE, NUDGER),
        )


def nobody_yet(gamma: jax.Array) -> jax.Array:
    """The initial carry: bool[B], the nudger begins."""
    return jnp.ones_like(gamma, bool)


def nudging(tokenizer: Any, ends: tuple[int, ...], base_may_end: bool, agreement: bool) -> Combine:
    """The policy for members that share `tokenizer`'s vocabulary; its theta is gamma f32[B]."""
    step = NudgeStep(word_breaks(tokenizer), ends, base_may_end, agreement)
    return Combine(step, nobody_yet, name="nudging", tells=True)


def write(
    context: Context,
    pair: tuple[int, int],
    asks: Sequence[tuple[Request, float]],
    base_may_end: bool,
    agreement: bool,
    sampling: Sampling | None = None,
) -> list[Response]:
    """Two members write each answer together.

    Args:
        context: the members and the engine.
        pair: indices of the base and the nudger.
        asks: requests, each with its gamma.
        base_may_end: as of `NudgeStep`.
        agreement: as of `NudgeStep`.
        sampling: how tokens are drawn; the run's by default.
    """
    members = [context.pool[index] for index in pair]
    ends = tuple(sorted({token for member in members for token in member.eos}))
    policy = nudging(members[BASE].tokenizer, ends, base_may_end, agreement)
    gammas = np.array([gamma for _, gamma in asks], np.float32)
    said = context.join(pair, [request for request, _ in asks], policy, gammas, sampling)
    return [_shown(response, context, pair) for response in said]


def _shown(response: Response, context: Context, pair: tuple[int, int]) -> Response:
    """Shows who wrote what: a turn for every run of tokens that has a text."""
    asked, *written = response.transcript
    speakers = response.speakers
    texts, _ = pieces(context.pool[pair[BASE]].tokenizer, (), response.tokens)
    runs = [
        (who, "".join(text for _, text in run))
        for who, run in itertools.groupby(zip(speakers, texts, strict=False), lambda one: one[0])
    ]
    turns = [Turn(context.pool[pair[who]].name, asked.role, text) for who, text in runs if text]
    ratio = sum(who == NUDGER for who in speakers) / max(len(speakers), 1)
    return response.replace(
        transcript=(asked, *(turns or written)),
        notes=(("nudge_ratio", ratio), ("nudges", sum(who == NUDGER for who, _ in runs))),
    )
