"""Who writes what in mentor collaboration: words, two continuations, and a choice between them."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import numpy as np

from moco_jax.decoding.combine import Combine
from moco_jax.decoding.floor import Draft, Floor, Line
from moco_jax.decoding.types import Request
from moco_jax.methods import prompts

GENERATOR, MENTOR = 0, 1
LONGEST = 11
"""Tokens of the longest word."""
LABELS = ("A", "B")

Verifier = Callable[[Floor, Sequence[int], Sequence[Request]], list[bool]]
"""`(floor, rows, what the generator reads) -> whether it takes the mentor's continuation`."""


@dataclasses.dataclass
class Progress:
    """What happened in one row.

    Attributes:
        chance: its random numbers.
        words: words of the generator, those that the mentor was asked about included.
        asked: how often the mentor was asked.
        agreed: how often it wanted the same word.
        taken: how often its continuation was taken.
        mentor_words: words in these.
        last: the last continuation that was not blank, without the spaces around it.
        times: how often it was chosen in a row.
    """

    chance: np.random.Generator
    words: int = 0
    asked: int = 0
    agreed: int = 0
    taken: int = 0
    mentor_words: int = 0
    last: str = ""
    times: int = 0

    def repeats(self, text: str, limit: int) -> bool:
        """Hears a chosen continuation; whether it came `limit` times in a row now."""
        text = text.strip()
        if text:
            self.times = self.times + 1 if text == self.last else 1
            self.last = text
        return 0 < limit <= self.times

    def notes(self) -> dict[str, float | int | None]:
        """For the response."""
        return {
            "decisions": self.asked,
            "decision_share": self.asked / max(self.words, 1),
            "agreement": self.agreed / self.asked if self.asked else None,
            "mentor_chosen": self.taken,
            "mentor_words": self.mentor_words,
        }


@dataclasses.dataclass(frozen=True)
class WordByWord:
    """The protocol of a generator and its mentor.

    Attributes:
        words: per member, the policy that halts behind so many words.
        share: how likely a word is to be compared with the mentor's.
        patch_size: tokens of a continuation.
        max_repeats: choices in a row of one continuation that end the answer; 0 never.
        verify: how the generator chooses.
    """

    words: tuple[Combine, Combine]
    share: float
    patch_size: int
    max_repeats: int
    verify: Verifier

    def play(self, floor: Floor) -> None:
        """Writes words up to one that is compared, compares, and goes on until all is said."""
        rows = [Progress(floor.random(row, "decisions")) for row in floor.open]
        while floor.open:
            before = {row: len(floor.lines[row].text) for row in floor.open}
            words = self._write(floor, rows)
            differ = self._compare(floor, rows, words)
            self._choose(floor, rows, differ)
            # An empty step would be followed by the same for ever
            floor.finish([row for row in floor.open if len(floor.lines[row].text) == before[row]])
        for line, row in zip(floor.lines, rows, strict=True):
            line.notes.update(row.notes())

    def _write(self, floor: Floor, rows: list[Progress]) -> dict[int, Draft]:
        """Lets the generator write the words that are not compared; gives the ones that are."""
        active = floor.open
        free = {row: self._free(rows[row].chance, floor.lines[row]) for row in active}
        drafts = floor.draft(
            GENERATOR,
            active,
            [floor.lines[row].left for row in active],
            combine=self.words[GENERATOR],
            theta=np.array([free[row] + 1 for row in active], np.int32),
        )
        compared = {}
        for row, draft in zip(active, drafts, strict=True):
            whole = _whole(draft)
            starts = _starts(whole)
            reached = draft.finish == "halt" or len(starts) > free[row]
            count = starts[-1] if reached and starts else len(whole.tokens)
            rows[row].words += max(len(starts) - reached, 0)
            written = whole.first(count)
            floor.say(GENERATOR, [row], [written])
            if reached and len(written.tokens) == count and floor.lines[row].finish is None:
                compared[row] = _behind(whole, count)
        return compared

    def _free(self, chance: np.random.Generator, line: Line) -> int:
        """How many words come before the next that is compared."""
        return next((n for n in range(line.left) if chance.random() < self.share), line.left)

    def _compare(self, floor: Floor, rows: list[Progress], words: dict[int, Draft]) -> list[int]:
        """Asks the mentor for its word; rows where it is another."""
        active = list(words)
        said = floor.draft(
            MENTOR,
            active,
            LONGEST + 1,
            combine=self.words[MENTOR],
            theta=np.ones(len(active), np.int32),
        )
        differ = []
        for row, draft in zip(active, said, strict=True):
            own, other = words[row], _whole(draft)
            rows[row].words += 1
            rows[row].asked += 1
            full = draft.finish == "full"
            same = (own.text, own.finish == "end") == (other.text, other.finish == "end")
            rows[row].agreed += same and not full
            if same or full:
                floor.say(GENERATOR, [row], [own])
            else:
                differ.append(row)
        return differ

    def _choose(self, floor: Floor, rows: list[Progress], active: Sequence[int]) -> None:
        """Lets both members look ahead and the generator choose."""
        options = [floor.draft(who, active, self.patch_size) for who in (GENERATOR, MENTOR)]
        read = []
        for row, own, other in zip(active, *options, strict=True):
            request, text = floor.lines[row].request, floor.lines[row].text
            prefix = request.prefix + text + prompts.continue_with(own.text, other.text)
            read.append(dataclasses.replace(request, prefix=prefix, purpose="choose"))
        taken = self.verify(floor, active, read) if active else []
        for row, own, other, mentor in zip(active, *options, taken, strict=True):
            line, progress = floor.lines[row], rows[row]
            for who, role, draft in ((GENERATOR, "option A", own), (MENTOR, "option B", other)):
                line.remark(floor.members[who], role, draft.text)
            line.remark(floor.members[GENERATOR], "choose", LABELS[mentor])
            if mentor:
                progress.taken += 1
                progress.mentor_words += len(other.text.split())
            chosen = other if mentor else own
            floor.say(int(mentor), [row], [chosen])
            if progress.repeats(chosen.text, self.max_repeats) and line.finish is None:
                floor.finish([row])


def by_label(floor: Floor, rows: Sequence[int], read: Sequence[Request]) -> list[bool]:
    """Takes the mentor's continuation where "B" is likelier than "A"."""
    found = []
    for scores in floor.score(GENERATOR, rows, LABELS, read=read):
        first, second = [sum(score) for score in scores] if scores else (0.0, 0.0)
        found.append(second > first)
    return found


def by_token(floor: Floor, rows: Sequence[int], read: Sequence[Request]) -> list[bool]:
    """Takes the mentor's continuation where the next token is "B"."""
    return [draft.text.strip() == "B" for draft in floor.draft(GENERATOR, rows, 1, read=read)]


def _whole(draft: Draft) -> Draft:
    """A draft without the token that begins the next word, if it was halted there.

    Behind bytes that are no character that token stays: without it they would be taken back too.
    """
    if draft.finish != "halt":
        return draft
    count = len(draft.tokens) - 1
    before = draft.first(count)
    return before if len(before.tokens) == count else draft


def _starts(draft: Draft) -> list[int]:
    """Where words begin, never within a character; one is cut after `LONGEST` tokens."""
    starts = [0] if draft.pieces else []
    for place, (before, piece) in enumerate(itertools.pairwise(draft.pieces), 1):
        if before and (any(map(str.isspace, piece)) or place - starts[-1] >= LONGEST):
            starts.append(place)
    return starts


def _behind(draft: Draft, count: int) -> Draft:
    """A draft without its first tokens."""
    return Draft(draft.pieces[count:], draft.tokens[count:], draft.logprobs[count:], draft.finish)
