"""Finding the text of an option, and telling what an output rules out."""

import re
import unicodedata
from collections.abc import Sequence

from moco_jax.tasks import answer_words as words
from moco_jax.tasks.markup import clean

SHORT_OPTION = 4  # characters; shorter option texts turn up by chance
WINDOW = 400  # characters after a declaration that are looked at

_RULED_OUT = (
    rf"(?:[^\S\n]{{0,2}}[(:–—-]?[^\S\n]?|(?<=:)\s{{1,2}})"
    rf"(?:(?:{words.IS}|seems|looks|must be|이|가|が)\s{{0,2}})?"
    # "B. Wrong answers: A, C, D" does not speak of B
    rf"(?:(?:n'est pas|not|nicht|no)?\s?{words.WRONG}(?!\s\w{{1,12}}\s?[:：])"
    rf"|{words.NOT}(?!\s{{1,2}}[(*]{{0,2}}(?-i:[A-Z])(?![\w']))|[❌✗✘✖])"
)
RULED_OUT = re.compile(rf"[)\]*_.:]{{0,4}}{_RULED_OUT}", re.IGNORECASE)
_RULED_OUT_AT_ONCE = re.compile(rf"[)\]*_]{{0,4}}{_RULED_OUT}", re.IGNORECASE)
NEGATION = re.compile(
    rf"(?:(?<!\w)(?:{words.NOT_BEFORE})\s{{1,2}}(?:(?:the|option|answer|der|die|das|la|le|el|il)\s){{0,2}}"
    rf"|(?:{words.NOT_TOUCHING})\s?)[(*\"']{{0,3}}\Z",
    re.IGNORECASE,
)
LINE_LETTER = re.compile(r"^[ \t*(-]{0,6}([A-Z])[).:](?=\s)", re.MULTILINE)


def exactly_at(text: str, end: int, letters: str, options: Sequence[str]) -> str | None:
    """The option whose text is the rest of the line, or of the output, at `end`."""
    rest = text[end : end + max(map(len, options)) + WINDOW].lstrip(" \t\n:：=*_\"'`“")
    if not _may_open(rest, options):
        return None
    for whole in (rest.split("\n", 1)[0], rest):
        folded = fold(whole)
        if len(folded) > 1 and folded in options:
            return letters[options.index(folded)]
    return None


def option_at(text: str, end: int, letters: str, options: Sequence[str]) -> str | None:
    """The longest option text that opens the line at `end`, after its letter if it has one."""
    longest = max(map(len, options))
    line = re.sub(r"^[\s:：=*_\"'`“(]{0,8}", "", text[end : end + longest + WINDOW])
    bare = re.match(r"([A-Z]) (?=\S)", line)
    if bare is not None and bare.group(1) in letters:
        option = options[letters.index(bare.group(1))]
        if option and _opens(fold(line[2:]), option):
            return bare.group(1)
    if not _may_open(line, options):
        return None
    folded = fold(line)
    fitting = [option for option in options if option and _opens(folded, option)]
    return letters[options.index(max(fitting, key=len))] if fitting else None


def last_option_text(text: str, letters: str, options: Sequence[str]) -> str | None:
    """The option the text ends with, else the one named last on the last line, longest first."""
    last_line = text.rsplit("\n", 1)[-1]
    if LINE_LETTER.match(last_line):
        return None
    folded = fold(text[-2 * WINDOW - max(map(len, options)) :])
    closing = [
        option for option in options if len(option) >= SHORT_OPTION and _ends(folded, option)
    ]
    if closing:
        return letters[options.index(max(closing, key=len))]
    line = fold(last_line[-2 * WINDOW - max(map(len, options)) :])
    spans = [span for option in set(options) for span in _mentions(line, option)]
    spans = [span for span in spans if not any(_inside(span, other) for other in spans)]
    named = {line[start:end] for start, end in spans}
    if not spans or (len(named) > 1 and any(len(name) < SHORT_OPTION for name in named)):
        return None
    start, end = max(spans, key=lambda span: span[1])
    return letters[options.index(line[start:end])]


def _may_open(text: str, options: Sequence[str]) -> bool:
    """Whether an option could stand at the start of a text; spares folding all of it."""
    opening = fold(text[:64])
    return any(opening.startswith(option[:16].rstrip(" .")) for option in options if option)


def _opens(text: str, option: str) -> bool:
    return text.startswith(option) and not text[len(option) : len(option) + 1].isalnum()


def _ends(text: str, option: str) -> bool:
    start = len(text) - len(option)
    apart = start == 0 or (start > 0 and not text[start - 1].isalnum())
    return apart and text.endswith(option) and not negated(text, start)


def _mentions(line: str, option: str) -> list[tuple[int, int]]:
    """The last whole-word mention of an option that is not ruled out, as a list of none or one."""
    end = len(line)
    while option and (start := line.rfind(option, 0, end)) >= 0:
        stop = start + len(option)
        if _stands_alone(line, start, stop) and not (negated(line, start) or ruled_out(line, stop)):
            return [(start, stop)]
        end = stop - 1
    return []


def _stands_alone(line: str, start: int, stop: int) -> bool:
    """Whether an option's text is a word of its own; a short one must close or open the line."""
    before, after = line[max(0, start - 1) : start], line[stop : stop + 1]
    signed = before == "-" and line[start].isdigit()
    if before.isalnum() or after.isalnum() or signed:
        return False
    return stop - start >= SHORT_OPTION or after == "" or (before == "" and after in ",.;:!")


def _inside(span: tuple[int, int], other: tuple[int, int]) -> bool:
    return span != other and other[0] <= span[0] and span[1] <= other[1]


def negated(text: str, start: int) -> bool:
    """Whether a "not", "nor", "never" or "except" stands right before a position."""
    return NEGATION.search(text[max(0, start - 32) : start]) is not None


def fold(text: str) -> str:
    """Case and spacing aside, without markup around it and final dots."""
    folded = unicodedata.normalize("NFKC", clean(text)).casefold()
    return " ".join(folded.split()).rstrip(".")


def ruled_out(text: str, end: int, *, at_once: bool = False) -> bool:
    """Whether what stands at `end`, behind a letter, says that it is wrong.

    Args:
        text: an output.
        end: a place in it.
        at_once: within the sentence of the letter.
    """
    return (_RULED_OUT_AT_ONCE if at_once else RULED_OUT).match(text, end) is not None
