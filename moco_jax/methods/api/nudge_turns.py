"""Nudging between members of different vocabularies: they take turns on one text."""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from moco_jax.decoding.combine import Aux, Choice, Combine
from moco_jax.decoding.floor import Draft, Floor, Protocol
from moco_jax.decoding.types import Request, Response, Sampling, Turn
from moco_jax.methods.api.nudge_tokens import BASE, NUDGER
from moco_jax.methods.api.words import breaking, word_breaks
from moco_jax.system import Context


@dataclasses.dataclass(frozen=True)
class WhileSure:
    """The base's step: it halts at the first token that it is unsure of, which is taken back.

    Attributes:
        ends: its end tokens; one that it is unsure of comes out as another token.
    """

    ends: tuple[int, ...]

    def __call__(
        self, theta: Any, carry: Any, keys: jax.Array, logits: jax.Array, aux: Aux
    ) -> tuple[Any, Choice]:
        """theta (gamma f32[B], bool[B] whether the first token is granted), logits f32[1, B, V]."""
        gamma, granted = theta
        token = aux.draw(keys, logits[0])
        sure = jnp.max(jax.nn.softmax(logits[0]), axis=-1) >= gamma
        sure |= granted & (aux.step == 0)
        other = next(token for token in itertools.count() if token not in self.ends)
        ends = jnp.any(token[:, None] == jnp.array(self.ends), -1)
        token = jnp.where(ends & ~sure, other, token)
        return carry, Choice(logits=logits[0], token=token, stop=~sure)


@dataclasses.dataclass(frozen=True)
class ToNextWord:
    """The nudger's step: it halts at the first token of the next word.

    Attributes:
        breaks: as of `word_breaks`.
    """

    breaks: bytes

    def __call__(
        self, begun: jax.Array, carry: Any, keys: jax.Array, logits: jax.Array, aux: Aux
    ) -> tuple[Any, Choice]:
        """begun bool[B]: the word stands there in part; logits f32[1, B, V]."""
        token = aux.draw(keys, logits[0])
        stop = breaking(self.breaks, token) & (begun | (aux.step > 0))
        return carry, Choice(logits=logits[0], token=token, stop=stop)


@dataclasses.dataclass(frozen=True)
class Turns:
    """The protocol of a base and a nudger.

    Attributes:
        base: the base's policy.
        nudger: the nudger's.
        base_may_end: as of `nudge_tokens.NudgeStep`.
        agreement: the base also takes over where its next token begins the nudger's.
    """

    base: Combine
    nudger: Combine
    base_may_end: bool
    agreement: bool

    def play(self, floor: Floor) -> None:
        """The nudger writes a word, then the base as far as it is sure, until somebody ends."""
        written, nudges = np.zeros((2, len(floor.lines)), int), np.zeros(len(floor.lines), int)
        pending: dict[int, Draft] = {}
        heard = floor.open
        while floor.open:
            nudges[heard] += 1
            begun = [row for row in floor.open if row in pending]
            _say(floor, NUDGER, begun, [pending[row] for row in begun], written)
            rows = floor.open
            words = floor.draft(
                NUDGER,
                rows,
                [floor.lines[row].left for row in rows],
                combine=self.nudger,
                theta=np.array([row in pending for row in rows], bool),
            )
            parts = [_split(word, row in pending) for row, word in zip(rows, words, strict=True)]
            _say(floor, NUDGER, rows, [word for word, _ in parts], written)
            nexts = {row: rest for row, (_, rest) in zip(rows, parts, strict=True) if rest}
            spoke = self._hear_base(floor, nexts, written)
            pending = {row: rest for row, rest in nexts.items() if row not in spoke}
            heard = [row for row in floor.open if row in spoke]
        for line, tokens, count in zip(floor.lines, written.T, nudges, strict=True):
            line.notes["nudge_ratio"] = float(tokens[NUDGER] / max(tokens.sum(), 1))
            line.notes["nudges"] = int(count)

    def _hear_base(self, floor: Floor, nexts: dict[int, Draft], written: np.ndarray) -> set[int]:
        """Lets the base write in all open rows; says in which it did.

        Args:
            floor: the floor.
            nexts: by row, the nudger's next token.
            written: as of `_say`.
        """
        rows = floor.open
        drafts = dict(zip(rows, self._draft(floor, rows, False), strict=True))
        if self.agreement:
            agreed = [
                row
                for row, draft in drafts.items()
                if draft.finish == "halt"
                and len(draft.tokens) == 1
                and draft.text
                and row in nexts
                and nexts[row].text.startswith(draft.text)
            ]
            drafts |= zip(agreed, self._draft(floor, agreed, True), strict=True)
        kept = {
            row: draft.first(len(draft.tokens) - 1) if self._taken_back(draft) else draft
            for row, draft in drafts.items()
        }
        _say(floor, BASE, list(kept), list(kept.values()), written)
        return {row for row, draft in kept.items() if draft.tokens}

    def _draft(self, floor: Floor, rows: Sequence[int], granted: bool) -> list[Draft]:
        gammas = np.array([floor.lines[row].theta for row in rows], np.float32)
        left = [floor.lines[row].left for row in rows]
        theta = gammas, np.full(len(rows), granted)
        return floor.draft(BASE, rows, left, combine=self.base, theta=theta)

    def _taken_back(self, draft: Draft) -> bool:
        return draft.finish == "halt" or (draft.finish == "end" and not self.base_may_end)


def _split(draft: Draft, begun: bool) -> tuple[Draft, Draft | None]:
    """A word, and the first token of the next one where that is known."""
    if draft.finish != "halt":
        return draft, None
    count = len(draft.tokens) - 1
    word = draft.first(count)
    if len(word.tokens) < count:
        # An unfinished character stands before the next word; alone it would be no progress
        return (word if word.tokens or begun else draft), None
    return word, Draft(draft.pieces[count:], draft.tokens[count:], draft.logprobs[count:])


def _say(
    floor: Floor, who: int, rows: Sequence[int], drafts: Sequence[Draft], written: np.ndarray
) -> None:
    """Writes one draft per row, and adds its tokens to `written`, i64[2, rows of the floor]."""
    floor.say(who, rows, drafts)
    for row, draft in zip(rows, drafts, strict=True):
        written[who, row] += len(draft.tokens)


def write(
    context: Context,
    pair: tuple[int, int],
    asks: Sequence[tuple[Request, float]],
    base_may_end: bool,
    agreement: bool,
    sampling: Sampling | None = None,
) -> list[Response]:
    """Two members write each answer by turns; arguments as of `nudge_tokens.write`."""
    base, nudger = (context.pool[index] for index in pair)
    step = functools.partial(Combine, name="nudging by turns")
    turns = Turns(
        step(WhileSure(base.eos)),
        step(ToNextWord(word_breaks(nudger.tokenizer))),
        base_may_end,
        agreement,
    )
    said = context.take_turns(
        pair,
        [request for request, _ in asks],
        Protocol(turns.play, "nudging", (base_may_end, agreement)),
        [gamma for _, gamma in asks],
        sampling,
    )
    return [response.replace(transcript=_joined(response.transcript)) for response in said]


def _joined(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """What one member says without a break as one turn."""
    runs = itertools.groupby(turns, lambda turn: (turn.speaker, turn.role))
    return tuple(Turn(*who, "".join(turn.text for turn in run)) for who, run in runs)
