"""Questions as people type them: the options of a multiple-choice question stand in its text."""

import re
from collections.abc import Sequence

from moco_jax.tasks.templates import LETTERS

LINE = re.compile(r"^\s*(?:[-*•]\s+)?\**[(\[]?([A-Za-z])[)\].:]\**\s+(\S.*?)\s*$")
"""`A) red`, `A. red`, `(A) red`, `[A] red`, `A: red`, `- a) red`, `**A.** red`."""
INLINE = re.compile(r"(?<!\S)[(\[]?([A-Z])[)\]]\s+")
"""`(A) red (B) green`."""


def split_options(text: str) -> tuple[str, tuple[str, ...]]:
    """A question and its options, which stand on lines lettered A, B, ..., or behind each other.

    An option goes on until the next letter; what stands on lines below the last is part of the
    question. Of several such lists the last counts.

    Args:
        text: as it was typed.

    Returns:
        the question and the texts of the options; the whole text and () where there are not at
        least two.
    """
    lines = text.splitlines()
    found = _lettered([LINE.match(line) for line in lines])
    if found:
        ends = [*found[1:], found[-1] + 1]
        choices = []
        for start, end in zip(found, ends, strict=True):
            match = LINE.match(lines[start])
            first = match.group(2) if match else ""
            choices.append(" ".join([first, *filter(None, map(str.strip, lines[start + 1 : end]))]))
        return _question("\n".join(lines[: found[0]]), lines[found[-1] + 1 :]), tuple(choices)
    marks = list(INLINE.finditer(text))
    places = _lettered(marks)
    if not places:
        return text, ()
    last = marks[places[-1]]
    end = text.find("\n", last.end())
    bounds = [marks[place].start() for place in places[1:]] + [len(text) if end < 0 else end]
    options = tuple(
        text[marks[place].end() : bound].strip()
        for place, bound in zip(places, bounds, strict=True)
    )
    return _question(text[: marks[places[0]].start()], text[bounds[-1] :].splitlines()), options


def _question(before: str, after: list[str]) -> str:
    return "\n".join([before.strip(), *filter(str.strip, after)]).strip()


def _lettered(marks: Sequence[re.Match[str] | None]) -> list[int]:
    """Places of the last marks that are lettered A, B, ... in order; none where these are < 2."""
    best: list[int] = []
    run: list[int] = []
    small = False
    for place, mark in enumerate(marks):
        if mark is None:
            continue
        letter = mark.group(1)
        if letter in "Aa":
            run, small = [place], letter == "a"
        elif run and letter == (LETTERS.lower() if small else LETTERS)[len(run) % len(LETTERS)]:
            run.append(place)
        if len(run) > 1:
            best = list(run)
    return best
