"""Which option an output settles on. It sees no gold and takes linear time.

In this order, on what stands after the thinking: a text that is nothing but a letter or an option's
text; the last box, `<answer>` tag or JSON field; the last statement of an answer ("the answer is
C", "C is correct", "I choose C", a table's row); a letter that opens the text; the last mention
("option C", "(C)", "**C**"); an answer under a condition; a last "So, C."; the last option text on
the last line. Options that are merely spoken of do not unsay an answer, and ruled-out letters ("not
(C)", "C is wrong") never count. `choice_statements` finds the statements.
"""

import re
import unicodedata
from collections.abc import Sequence

from moco_jax.tasks import answer_words as words
from moco_jax.tasks.choice_statements import (
    Binding,
    Statement,
    letter_at,
    mark_at,
    statements,
    upper,
)
from moco_jax.tasks.extraction import set_apart
from moco_jax.tasks.markup import boxes, clean, strip_thinking, unwrap
from moco_jax.tasks.option_texts import (
    LINE_LETTER,
    WINDOW,
    fold,
    last_option_text,
    negated,
    ruled_out,
)
from moco_jax.tasks.templates import LETTERS

LONGEST = 16_000  # characters at the end, and a quarter at the start, searched for statements
MENTION = re.compile(r"(?<![\w(])\(([A-Za-z])\)|(?<!\w)([A-Z])\)|\*\*\(?([A-Z])[).:]?\*\*")
HEADED = re.compile(rf"^[\W_]{{0,6}}(?:{words.OPTION})[\W_]{{1,3}}([A-Z])(?!\w)", re.M | re.I)
CLOSING = re.compile(
    r"(?:(?:\n|(?:[,:;.!?]|\b(?:is|be|so|therefore|thus|hence)|it's)\s{1,3})[\W_]{0,3}([A-Z])"
    r"|(?<![\w'])\(?([A-Z])\)? (?:is|it is))[\W_]{0,6}\Z",
    re.IGNORECASE,
)


def stated_letter(text: str, choices: Sequence[str]) -> str | None:
    """The positional letter of the option a text settles on, None where it settles on none."""
    if not choices:
        return None
    text = unicodedata.normalize("NFKC", strip_thinking(text)).strip()
    letters, options = LETTERS[: len(choices)], [fold(choice) for choice in choices]
    for short in (text, *_marked(text)):
        letter = _whole(short, letters, options)
        if letter is not None:
            return letter
    if len(text) > LONGEST + LONGEST // 4:
        text = f"{text[: LONGEST // 4]}\n{text[-LONGEST:]}"
    found = statements(text, letters, options)
    stated = _last(found, "stated")
    if stated is not None:
        return stated if stated in letters else None
    return (
        _leading(text, letters, options, alone=True)
        or _closing_mention(found, text)
        or _leading(text, letters, options)
        or _last(found, "mentioned")
        or _last_mention(text, letters)
        or _last(found, "supposed")
        or _closing(text, letters)
        or last_option_text(text, letters, options)
    )


def _marked(text: str) -> list[str]:
    """What an output sets apart as its answer, most binding first."""
    boxed = [content for content in boxes(text) if clean(content)]
    return [*map(unwrap, boxed[:1]), set_apart(text) or ""]


def _whole(text: str, letters: str, options: Sequence[str]) -> str | None:
    """The option that a whole text is, by its letter, its text, or its letter and text."""
    if len(text) > 2 * WINDOW + max(map(len, options)):
        return None
    text = clean(text)
    bare = re.fullmatch(r"(?:\\text\{)?[\W_]{0,6}([A-Za-z])[\W_]{0,6}", text)
    if bare is not None and bare.group(1).upper() in letters:
        return bare.group(1).upper()
    folded = fold(text)
    if folded in options:
        return letters[options.index(folded)]
    lettered = letter_at(text, 0)
    if lettered is not None and upper(lettered) in letters:
        end = mark_at(text, lettered, options)
        if end > lettered.end() and not any(map(str.isalnum, text[end:])):
            return upper(lettered)
    return None


def _last(found: Sequence[Statement], binding: Binding) -> str | None:
    """The letter of the last statement of a kind."""
    return next((one.letter for one in reversed(found) if one.binding == binding), None)


def _closing_mention(found: Sequence[Statement], text: str) -> str | None:
    """The letter of an "option C" that the text ends with."""
    last = max(found, key=lambda one: one.end, default=None)
    closing = last is not None and not any(map(str.isalnum, text[last.end :]))
    return last.letter if last is not None and closing and last.binding == "mentioned" else None


def _leading(text: str, letters: str, options: Sequence[str], *, alone: bool = False) -> str | None:
    """The letter a text opens with, unless it goes on to list the options.

    Args:
        text: the output.
        letters: those there are.
        options: folded option texts.
        alone: whether nothing but the option's own text may stand with it, on its line or in its
            sentence.
    """
    named = words.OPTION if alone else "(?!)"
    start = re.match(rf"[\W_]{{0,20}}(?P<option>(?:{named})[\W_]{{1,3}})?(?=[A-Za-z])", text, re.I)
    match = None if start is None else letter_at(text, start.end())
    if match is None:
        return None
    if match["letter"] == "A" and (answer := re.match(r":\s{0,3}", text[match.end() :])):
        # "A: C" answers a "Q:"
        match = letter_at(text, match.end() + answer.end()) or match
    letter, end = upper(match), match.end()
    if letter not in letters or (match["letter"] in "aI" and text[end : end + 1] == " "):
        return None
    listed = {found.group(1) for found in LINE_LETTER.finditer(text)}
    if start is not None and start["option"]:
        listed |= {found.group(1) for found in HEADED.finditer(text)}
    # Who begins a list with another letter than A has answered before it
    if (len(listed) > 1 and not (alone and letter != "A")) or ruled_out(
        text, mark_at(text, match, options)
    ):
        return None
    if alone:
        rest = re.split(r"[.!]\s|\n", text[mark_at(text, match, options) :] + "\n", maxsplit=1)[0]
        return letter if not any(map(str.isalnum, rest)) else None
    return letter


def _last_mention(text: str, letters: str) -> str | None:
    """The last `(C)`, `C)` or `**C**` that is not ruled out."""
    if len({found.group(1) for found in LINE_LETTER.finditer(text)}) > 1:
        return None
    for match in reversed(list(MENTION.finditer(text))):
        letter = (match.group(1) or match.group(2) or match.group(3)).upper()
        out = negated(text, match.start()) or ruled_out(text, match.end())
        if letter in letters and not out:
            return letter
    return None


def _closing(text: str, letters: str) -> str | None:
    """The letter a text ends on, as in "So, B."."""
    match = CLOSING.search(text[-40:])
    if match is None or negated(text, len(text[:-40]) + match.start(match.lastindex or 1)):
        return None
    letter = match.group(1) or match.group(2)
    return letter if letter in letters else None
