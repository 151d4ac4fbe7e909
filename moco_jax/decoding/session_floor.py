"""A floor whose members are run on devices, each in a session with a row per text.

What a member should read next is compared with what its row holds, and only what follows the last
common token is read: its own tokens stay as it generated them, and what others wrote is encoded
with all that stands before it, so that tokens which merge at the seam are those of the whole text.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from moco_jax.decoding.combine import FIRST, Combine
from moco_jax.decoding.continuations import Continuations, beyond, follow, replies
from moco_jax.decoding.floor import Draft, DraftEnd, Floor, Line
from moco_jax.decoding.groups import Weights
from moco_jax.decoding.loop import LENGTH
from moco_jax.decoding.pieces import pieces, shown_tokens
from moco_jax.decoding.render import Prompt, Speaker
from moco_jax.decoding.scoring import score_usage
from moco_jax.decoding.session import Session
from moco_jax.decoding.types import Request, Sampling, Usage
from moco_jax.models.cost import generation_flops
from moco_jax.models.tokenizer import special_tokens

PyTree = Any
Tokens = list[int]
WeightsOf = Callable[[Speaker], Weights]

LONGEST_CHARACTER = 3
"""Tokens that may still have to follow to complete a character."""


class SessionFloor(Floor):
    """A floor whose members are run on devices."""

    def __init__(
        self,
        speakers: Sequence[Speaker],
        lines: Sequence[Line],
        prompts: Sequence[Prompt],
        draws: Sequence[Any],
        sampling: Sampling,
        width: int,
        weights: WeightsOf,
    ):
        """Opens the floor.

        Args:
            speakers: the members.
            lines: the rows.
            prompts: theirs, in every member's tokens.
            draws: per row, the JSON value that all draws follow from.
            sampling: how tokens are drawn unless the protocol says otherwise.
            width: rows of the sessions; what the lines do not take stays empty.
            weights: gives a member's weights where the devices compute with them.
        """
        super().__init__([speaker.name for speaker in speakers], lines, draws, sampling.stop)
        self._speakers = speakers
        self._prompts = prompts
        self._sampling = sampling
        self._width = width
        empty = [None] * (width - len(lines))
        self._sessions = [
            Session(
                speaker,
                [[0]] * width,
                speaker.config.max_positions,
                # A checkpoint may be two members, which then draw apart
                seeds=[*([who, draw] for draw in draws), *empty],
                longest=sampling.max_new_tokens,
                weights=functools.partial(weights, speaker),
            )
            for who, speaker in enumerate(speakers)
        ]
        self._views: list[list[tuple[str, Tokens] | None]] = [[None] * len(lines) for _ in speakers]
        self._heads: list[list[str | None]] = [[None] * len(lines) for _ in speakers]
        self._shown = [
            shown_tokens(speaker.tokenizer, sampling.stop, speaker.eos) for speaker in speakers
        ]
        self._usages = [[Usage()] * len(lines) for _ in speakers]

    def draft(
        self,
        who: int,
        rows: Sequence[int],
        count: int | Sequence[int],
        *,
        read: Sequence[Request] | None = None,
        sampling: Sampling | None = None,
        combine: Combine = FIRST,
        theta: PyTree = (),
    ) -> list[Draft]:
        """As in `Floor`; what was drafted is taken back when the member reads something else."""
        sampling = sampling or self._sampling
        session = self._sessions[who]
        wanted = [int(number) for number in np.broadcast_to(np.array(count), len(rows))]
        wanted = [
            min(number, self.lines[row].left) for row, number in zip(rows, wanted, strict=True)
        ]
        texts = self._texts(who, rows, read)
        counts, fits = self._room(who, rows, texts, wanted)
        self._turn_to(who, rows, texts, fits)
        spread = jax.tree.map(lambda leaf: _spread(np.asarray(leaf), rows, self._width), theta)
        streams = session.generate(counts, sampling, combine=combine, theta=spread)
        limit = self._speakers[who].config.max_positions
        full = {row for row in rows if len(session.texts[row]) >= limit}
        full |= {row for row, fit in zip(rows, fits, strict=True) if not fit}
        said = {row: list(streams[row].tokens) for row in rows}
        values = {row: list(streams[row].logprobs) for row in rows}
        ended = {row: streams[row].finish != LENGTH for row in rows}
        before = self._before(rows, texts, read)
        if combine is FIRST:
            self._complete(who, before, said, values, ended, sampling)
        for row, text in zip(rows, texts, strict=True):
            self._charge(who, row, len(text), len(said[row]))
        return [
            self._draft(who, before[row], said[row], values[row], ended[row], row in full)
            for row in rows
        ]

    def score(
        self,
        who: int,
        rows: Sequence[int],
        labels: Sequence[str],
        *,
        read: Sequence[Request] | None = None,
    ) -> list[list[tuple[float, ...]] | None]:
        """As in `Floor`; the text is read once for all labels."""
        speaker, session = self._speakers[who], self._sessions[who]
        asked: dict[int, Continuations] = {}
        for index, row in enumerate(rows):
            if read is None:
                head = self._head(who, row) + self.lines[row].text
                ready = follow(speaker, head, self._view(who, row), labels, ended=True)
            else:
                ready = replies(speaker, read[index], labels, self._sampling)
            if ready is not None:
                asked[row] = ready
        texts = [one.prompt.tolist() for one in asked.values()]
        self._turn_to(who, list(asked), texts, [True] * len(asked))
        found: dict[int, list[tuple[float, ...]]] = {row: [] for row in asked}
        for number in range(len(labels) if asked else 0):
            parts = {row: one.texts[number] for row, one in asked.items()}
            scores = session.score([parts.get(row, ()) for row in range(self._width)])
            for row, part in parts.items():
                found[row].append(tuple(scores[row].tolist()))
                read_before = len(asked[row].prompt)
                cost = score_usage(speaker.config, read_before, len(part), read=True)
                self._spend(who, row, cost)
        return [found.get(row) for row in rows]

    @property
    def hidden(self) -> set[str]:
        """As in `Floor`."""
        return {
            special_tokens(speaker.tokenizer)[token]
            for speaker, shown in zip(self._speakers, self._shown, strict=True)
            for token in shown
        }

    def usages(self, row: int) -> list[Usage]:
        """What each member spent on a row so far."""
        return [spent[row] for spent in self._usages]

    def _texts(self, who: int, rows: Sequence[int], read: Sequence[Request] | None) -> list[Tokens]:
        """What a member is to have read, per row."""
        if read is None:
            return [self._view(who, row) for row in rows]
        template, thinking = self._speakers[who].template, self._sampling.thinking
        return [template.render(one.messages, one.prefix, thinking) for one in read]

    def _before(
        self, rows: Sequence[int], texts: Sequence[Tokens], read: Sequence[Request] | None
    ) -> dict[int, Tokens]:
        """The tokens that a draft's text goes on from, by row; none where it begins an answer.

        Some tokenizers write a space before every word but the first.
        """
        found = {}
        for index, (row, text) in enumerate(zip(rows, texts, strict=True)):
            line = self.lines[row]
            begun = read[index].prefix if read else line.request.prefix + line.text
            found[row] = text if begun else []
        return found

    def _view(self, who: int, row: int) -> Tokens:
        """The prompt and the text so far in a member's tokens."""
        text, prompt = self.lines[row].text, self._prompts[row]
        known = self._views[who][row]
        if known is None or known[0] != text:
            tokens = [int(token) for token in prompt.tokens[who]]
            if text and prompt.cut:
                template = self._speakers[who].template
                tokens, (added,) = beyond(template, self._head(who, row), tokens, [text])
                tokens += added
            elif text:
                tokens = self._speakers[who].template.encode(self._head(who, row) + text)
            known = self._views[who][row] = text, tokens
        return known[1]

    def _head(self, who: int, row: int) -> str:
        """The rendered prompt; templates are run once."""
        head = self._heads[who][row]
        if head is None:
            request, template = self.lines[row].request, self._speakers[who].template
            head = template.text(request.messages, request.prefix, self._sampling.thinking)
            self._heads[who][row] = head
        return head

    def _room(
        self, who: int, rows: Sequence[int], texts: Sequence[Tokens], wanted: Sequence[int]
    ) -> tuple[np.ndarray, list[bool]]:
        """Tokens that may follow, i32[width], and whether rows have room for any."""
        counts = np.zeros(self._width, np.int32)
        limit = self._speakers[who].config.max_positions
        for row, text, number in zip(rows, texts, wanted, strict=True):
            counts[row] = max(min(number, limit - len(text)), 0)
        return counts, [len(text) < limit for text in texts]

    def _turn_to(
        self, who: int, rows: Sequence[int], texts: Sequence[Tokens], fits: Sequence[bool]
    ) -> None:
        """Lets a member's rows hold these texts, and charges what it has to read for that."""
        for row, text, fit in zip(rows, texts, fits, strict=True):
            if fit:
                # The last token is fed with what follows and belongs to that
                fresh = self._sessions[who].rewrite(row, text) - 1
                flops = self._flops(who, len(text) - 1 - fresh, len(text) - 1)
                self._spend(who, row, Usage(fresh, 0, int(fresh > 0), flops))

    def _complete(
        self,
        who: int,
        before: dict[int, Tokens],
        said: dict[int, list[int]],
        values: dict[int, list[float]],
        ended: dict[int, bool],
        sampling: Sampling,
    ) -> None:
        """Lets drafts go on that end within a character, as long as that may complete it."""
        tokenizer, session = self._speakers[who].tokenizer, self._sessions[who]
        limit = self._speakers[who].config.max_positions
        for _ in range(LONGEST_CHARACTER):
            counts = np.zeros(self._width, np.int32)
            for row, context in before.items():
                room = min(self.lines[row].left - len(said[row]), limit - len(session.texts[row]))
                if said[row] and not ended[row] and room > 0:
                    counts[row] = bool(pieces(tokenizer, context, said[row])[1])
            if not counts.any():
                return
            for row, stream in enumerate(session.generate(counts, sampling)):
                if counts[row]:
                    said[row] += list(stream.tokens)
                    values[row] += list(stream.logprobs)
                    ended[row] = stream.finish != LENGTH

    def _draft(
        self,
        who: int,
        before: Tokens,
        tokens: Sequence[int],
        logprobs: Sequence[float],
        ended: bool,
        full: bool,
    ) -> Draft:
        speaker = self._speakers[who]
        parts, rest = pieces(speaker.tokenizer, before, tokens, self._shown[who])
        finish: DraftEnd = "length"
        if ended:
            finish = "end" if int(tokens[-1]) in speaker.eos else "halt"
        elif full:
            finish = "full"
        if rest and (finish != "length" or not any(parts)):
            # No more will come of these bytes: they stand in the text as what they are
            parts = (*parts[:-1], rest)
        draft = Draft(
            parts, tuple(map(int, tokens)), tuple(float(value) for value in logprobs), finish
        )
        if rest and not parts[-1]:
            draft = draft.first(len(parts) - 1)
        return draft

    def _said(self, who: int, row: int, draft: Draft) -> None:
        """Keeps a member's own tokens as it generated them."""
        known, text = self._views[who][row], self.lines[row].text
        if known is not None and known[0] == text:
            own = [token for token in draft.tokens if token not in self._speakers[who].eos]
            self._views[who][row] = text + draft.text, known[1] + own

    def _charge(self, who: int, row: int, before: int, count: int) -> None:
        """Charges new tokens behind a text; the first feeds the last token of the text."""
        if count:
            config = self._speakers[who].config
            flops = generation_flops(config, before, count) - generation_flops(
                config, before - 1, 0
            )
            self._spend(who, row, Usage(1, count, count, flops))

    def _flops(self, who: int, before: int, after: int) -> float:
        config = self._speakers[who].config
        return float(generation_flops(config, after, 0) - generation_flops(config, before, 0))

    def _spend(self, who: int, row: int, usage: Usage) -> None:
        self._usages[who][row] = self._usages[who][row] + usage


def _spread(leaf: np.ndarray, rows: Sequence[int], width: int) -> np.ndarray:
    """Settings per row of the session; those of resting rows are zeros."""
    spread = np.zeros((width, *leaf.shape[1:]), leaf.dtype)
    spread[list(rows)] = leaf
    return spread
