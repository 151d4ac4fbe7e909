"""Which option an output settles on. It sees no gold and takes linear time.

In this order, on what stands after the thinking: a text that is nothing but a letter or an option's
text; the last box or `<answer>` tag; the last declaration ("the answer is C", "option C", "C is
correct"); a leading letter; the last lettered mention ("(C)", "**C**"); a last "So, C.";
the last option text on the last line. Ruled-out letters ("not (C)", "C is wrong") never count.
"""

import re
import unicodedata
from collections.abc import Sequence

from moco_jax.tasks.extraction import set_apart
from moco_jax.tasks.markup import boxes, clean, strip_thinking
from moco_jax.tasks.option_texts import (
    LINE_LETTER,
    RULED_OUT,
    WINDOW,
    exactly_at,
    fold,
    last_option_text,
    negated,
    option_at,
)
from moco_jax.tasks.templates import LETTERS

_AFTER = r"(?:because|since|as|is|and|with|for|which|due|given)\b"
# A letter that stands for an option: "C", "(C)", "C)", "**C**", "C.", "C:", "C because".
LETTER = re.compile(
    r"[\s(\[{*_\"'`$“‘<=:：-]{0,8}(?:\\(?:text|mathrm|textbf|boxed?)\{\s?)?\(?"
    r"([A-Za-z])"
    rf"(?=\Z|[)\]}}*_\"`$,;!?：:”’>。]|\.(?!\w)|'(?!\w)|\s{{0,2}}\n|\s{{1,4}}(?:\Z|[-–—(\n]|{_AFTER}))"
)
DECLARES = re.compile(
    r"(?:answers?|letter|option|choice|choose|chose|pick|picked|select|selected|solution"
    r"|go with|going with|答案|回答|答え|ответ|antwort|respuesta|réponse|resposta|risposta|정답)"
    r"(?!\w(?<![是为は]))",
    re.IGNORECASE,
)
_FILLERS = (
    r"is|are|was|be|would|should|must|the|correct|right|best|most|option|choice|answer|letter"
    r"|definitely|clearly|probably|likely|certainly|obviously|therefore|thus|i think|i believe"
    r"|it is|it's|described|given|by|to|of|question|final|this|as|是|为|は"
)
FILLER = re.compile(rf"['’]s\b|[\s:：=*_\"'`-]{{0,6}}(?:{_FILLERS})(?![A-Za-z'])", re.IGNORECASE)
CONFIRMED = re.compile(
    r"(?<![\w'])\(?([A-Z])\)?[*_]{0,4} (?:is|must be|seems|looks) (?:the )?"
    r"(?:clearly |definitely |most likely )?(?:correct|right|best|answer)"
)
MENTION = re.compile(r"(?<![\w(])\(([A-Za-z])\)|(?<!\w)([A-Z])\)|\*\*\(?([A-Z])[).:]?\*\*")
CLOSING = re.compile(
    r"(?:\n|(?:[,:;]|\b(?:is|be|so|therefore|thus|hence)|it's)\s{1,3})[\W_]{0,3}([A-Z])[\W_]{0,6}\Z",
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
    declared = _declared(text, letters, options)
    if declared is not None:
        return declared if declared in letters else None
    return (
        _leading(text, letters)
        or _last_mention(text, letters)
        or _closing(text, letters)
        or last_option_text(text, letters, options)
    )


def _marked(text: str) -> list[str]:
    """What an output sets apart as its answer, most binding first."""
    boxed = [content for content in boxes(text) if clean(content)]
    return [*boxed[:1], set_apart(text) or ""]


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
    lettered = LETTER.match(text)
    if lettered is not None and lettered.group(1).upper() in letters:
        letter = lettered.group(1).upper()
        if fold(text[lettered.end() :]) == options[letters.index(letter)]:
            return letter
    return None


def _declared(text: str, letters: str, options: Sequence[str]) -> str | None:
    """The last declared letter, which may be one that no option has."""
    ends = [(match.start(), match.end()) for match in DECLARES.finditer(text)]
    confirmed = [(match.start(), -1) for match in CONFIRMED.finditer(text)]
    for start, end in sorted(ends + confirmed, reverse=True):
        if end < 0:
            letter = _confirmed_at(text, start)
        else:
            letter = _declared_at(text, start, end, letters, options)
        if letter is not None:
            return letter
    return None


def _confirmed_at(text: str, start: int) -> str | None:
    match = CONFIRMED.match(text, start)
    return None if match is None or negated(text, start) else match.group(1)


def _declared_at(
    text: str, start: int, end: int, letters: str, options: Sequence[str]
) -> str | None:
    """The letter or option text that stands right after a declaring word and its fillers."""
    filled = 0
    while filled < 8 and (match := FILLER.match(text, end)) is not None:
        end, filled = match.end(), filled + 1
    exact = exactly_at(text, end, letters, options)
    if exact is not None and not negated(text, end):
        return exact
    letter = LETTER.match(text, end)
    if letter is not None and not RULED_OUT.match(text, letter.end()):
        found = letter.group(1)
        plain_article = found in "aI" and text[letter.end() : letter.end() + 1] == " "
        if not plain_article and not negated(text, start):
            if found.upper() in letters:
                return found.upper()
            return option_at(text, end, letters, options) or found.upper()
    return option_at(text, end, letters, options)


def _leading(text: str, letters: str) -> str | None:
    """The letter a text opens with, unless it goes on to list the options."""
    start = re.match(r"[\W_]{0,20}(?=[A-Za-z])", text)
    match = None if start is None else LETTER.match(text, start.end())
    if match is None or match.group(1).upper() not in letters:
        return None
    if match.group(1) in "aI" and text[match.end() : match.end() + 1] == " ":
        return None
    listed = {found.group(1) for found in LINE_LETTER.finditer(text)}
    if len(listed) > 1 or RULED_OUT.match(text, match.end()):
        return None
    return match.group(1).upper()


def _last_mention(text: str, letters: str) -> str | None:
    """The last `(C)`, `C)` or `**C**` that is not ruled out."""
    if len({found.group(1) for found in LINE_LETTER.finditer(text)}) > 1:
        return None
    for match in reversed(list(MENTION.finditer(text))):
        letter = (match.group(1) or match.group(2) or match.group(3)).upper()
        ruled_out = negated(text, match.start()) or RULED_OUT.match(text, match.end())
        if letter in letters and not ruled_out:
            return letter
    return None


def _closing(text: str, letters: str) -> str | None:
    """The letter a text ends on, as in "So, B."."""
    match = CLOSING.search(text[-40:])
    return match.group(1) if match is not None and match.group(1) in letters else None
