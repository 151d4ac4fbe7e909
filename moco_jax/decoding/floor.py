"""Taking turns on one text: what members write, look ahead, compare and take back.

A `Protocol` is a method's rule for who writes when, in plain Python over all rows at once; the
`Floor` is what it plays on. Members of different tokenizers share the text itself: each reads its
own rendered prompt with the text so far as the assistant's prefix.
"""

import abc
import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal

import numpy as np

from moco_jax.decoding.answers import stop_at
from moco_jax.decoding.combine import FIRST, Combine
from moco_jax.decoding.keys import digest
from moco_jax.decoding.types import Finish, Request, Sampling

PyTree = Any
DraftEnd = Literal["end", "halt", "length", "full"]


@dataclasses.dataclass(frozen=True)
class Draft:
    """What a member would write next; nothing of it stands in the text before `Floor.say`.

    Attributes:
        pieces: the text that each token adds; "" for special tokens and unfinished characters.
        tokens: the member's token ids, one per piece.
        logprobs: of the tokens, at temperature 1 and without filters.
        finish: "end": the last token is an end token of the member; "halt": the policy stopped it
            at the last token; "length": it has as many tokens as were asked for; "full": the
            member's context holds no more.
    """

    pieces: tuple[str, ...] = ()
    tokens: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    finish: DraftEnd = "length"

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.pieces)

    def first(self, count: int) -> "Draft":
        """Its first `count` tokens, as if no more had been asked for; whole characters only."""
        if count >= len(self.pieces):
            return self
        while count and not self.pieces[count - 1]:
            count -= 1
        return Draft(self.pieces[:count], self.tokens[:count], self.logprobs[:count])


@dataclasses.dataclass
class Line:
    """One row: the text that its members write.

    Attributes:
        request: what they answer.
        theta: the protocol's settings for this row.
        left: tokens that may still be written.
        thinking: whether the prompt ends inside an open `<think>`.
        text: all that was written so far.
        turns: (speaker, role, text) in order; the role is None for what stands in the text, and
            says what else was said for: a choice, a probe.
        finish: why it is closed; None while it is open.
        notes: for the response; JSON values.
    """

    request: Request
    theta: Any
    left: int
    thinking: bool = False
    text: str = ""
    turns: list[tuple[str, str | None, str]] = dataclasses.field(default_factory=list)
    finish: Finish | None = None
    notes: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def segments(self) -> list[tuple[str, str]]:
        """(speaker, text) of all that stands in the text, in order."""
        return [(speaker, text) for speaker, role, text in self.turns if role is None]

    def write(self, speaker: str, text: str) -> None:
        """Adds a segment, if it is not empty."""
        if text:
            self.text += text
            self.turns.append((speaker, None, text))

    def remark(self, speaker: str, role: str, text: str) -> None:
        """Notes a turn that does not stand in the text, for the transcript."""
        self.turns.append((speaker, role, text))

    def cut(self, length: int) -> None:
        """Takes back all but the first `length` characters."""
        self.text = self.text[:length]
        kept = []
        for speaker, role, text in self.turns:
            if role is not None or length > 0:
                kept.append((speaker, role, text if role else text[: max(length, 0)]))
            length -= 0 if role else len(text)
        self.turns = kept


class Floor(abc.ABC):
    """A few rows, and the members that write them by turns.

    What happens to one row must not depend on the others: a protocol looks at all rows only to do
    what many of them need in one call.

    Attributes:
        members: names, in the order in which `who` counts.
        lines: the rows. A protocol reads them, and writes only `notes` and remarks.
    """

    def __init__(
        self,
        members: Sequence[str],
        lines: Sequence[Line],
        draws: Sequence[Any],
        stop: Sequence[str] = (),
    ):
        """Opens the floor.

        Args:
            members: names.
            lines: the rows.
            draws: per row, the JSON value that its random numbers follow from.
            stop: strings that end an answer; they are cut off.
        """
        self.members = tuple(members)
        self.lines = list(lines)
        self._draws = list(draws)
        self._stop = tuple(stop)

    @property
    def hidden(self) -> Collection[str]:
        """Texts of special tokens that may stand in the lines, and not in an answer."""
        return ()

    @property
    def open(self) -> list[int]:
        """Rows that are not finished."""
        return [row for row, line in enumerate(self.lines) if line.finish is None]

    def random(self, row: int, *purpose: Any) -> np.random.Generator:
        """Random numbers of a row for a purpose (JSON values): the same however rows are batched.

        They follow from the run's seed, the prompts and the sample, so ask with another purpose
        for every step.
        """
        return np.random.default_rng(int(digest(self._draws[row], purpose)[:16], 16))

    @abc.abstractmethod
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
        """What a member would write next in some rows, one draft per row, in order.

        Drafted again from the same text it is the same. A character that its last token leaves
        unfinished is finished or left out.

        Args:
            who: index of the member.
            rows: the rows, each once.
            count: most tokens, one number or one per row; never more than a row has left.
            read: what the member reads in each row in place of the row's own request and text.
            sampling: how tokens are drawn, other than the call's.
            combine: a policy over this member's logits f32[1, B, V], which may halt a draft.
            theta: its settings; leaves lead with the axis of `rows`.
        """

    @abc.abstractmethod
    def score(
        self,
        who: int,
        rows: Sequence[int],
        labels: Sequence[str],
        *,
        read: Sequence[Request] | None = None,
    ) -> list[list[tuple[float, ...]] | None]:
        """Log-probability of every token of each label and of its end, [row][label][token].

        Args:
            who: index of the member that reads.
            rows: the rows, each once.
            labels: what might follow, each on its own, as the whole rest of the reply.
            read: as in `draft`; answered at once, without a thought.

        Returns:
            per row, or None where the member's context does not hold what it should read.
        """

    def say(
        self, who: int, rows: Sequence[int], drafts: Sequence[Draft], *, ends: bool = True
    ) -> None:
        """Writes what a member drafted, one draft per row, and closes rows that are done.

        A row is done when no tokens are left to write, a stop string was written, or the member's
        context is full.

        Args:
            who: index of the member.
            rows: open rows, each once.
            drafts: drafted from the rows' present texts, or the beginnings of such drafts.
            ends: whether a draft with an end token ends the answer too.
        """
        for row, draft in zip(rows, drafts, strict=True):
            line = self._open_line(row)
            self._said(who, row, draft)
            line.write(self.members[who], draft.text)
            line.left -= len(draft.tokens)
            if draft.finish == "end" and ends:
                line.finish = "stop"
            elif line.left <= 0 or draft.finish == "full":
                line.finish = "length"
            self._stop_there(line)

    def add(self, rows: Sequence[int], texts: Sequence[str], speaker: str = "method") -> None:
        """Writes words of the method's own, one text per row; they cost no tokens."""
        for row, text in zip(rows, texts, strict=True):
            line = self._open_line(row)
            line.write(speaker, text)
            self._stop_there(line)

    def finish(self, rows: Sequence[int], how: Finish = "stop") -> None:
        """Closes open rows."""
        for row in rows:
            self._open_line(row).finish = how

    def _said(self, who: int, row: int, draft: Draft) -> None:
        """Told of every draft before it is written."""
        del who, row, draft

    def _open_line(self, row: int) -> Line:
        line = self.lines[row]
        if line.finish is not None:
            raise ValueError(f"row {row} is finished ({line.finish}); only open rows take turns")
        return line

    def _stop_there(self, line: Line) -> None:
        place = None
        if self._stop:
            place = stop_at(line.text, self._stop, line.thinking, self.hidden)
        if place is not None:
            line.cut(place)
            line.finish = "stop"


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Who writes when.

    Attributes:
        play: takes turns on a floor until its rows are closed; those left open then are finished
            as cut by length. It must be deterministic but for `Floor.random`.
        name: what random draws follow from, besides the members and the prompt: a constant, which
            outlives changes of the code. The code itself stands in cache keys, see `source`.
        settings: everything else that `play` depends on, as JSON values; part of the keys.
    """

    play: Callable[[Floor], None]
    name: str
    settings: tuple[Any, ...] = ()
