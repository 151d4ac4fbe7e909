r"""One spelling per answer: the text form that votes and exact match compare.

LaTeX is read lightly: fraction and root commands, spacing, sizes, `\text{}`, degrees and common
operators are brought to one form; nothing is computed and no algebra is done.
"""

import re
import unicodedata

from moco_jax.tasks.markup import clean, unwrap
from moco_jax.tasks.numbers import parse_number, parse_numbers, spell

LONGEST = 4000  # characters; a longer answer is only case-folded and its blanks collapsed

_CHARACTERS = str.maketrans(
    {"−": "-", "‐": "-", "‑": "-", "–": "-", "×": "*", "·": "*", "÷": "/", "⁄": "/", "π": r"\pi "}
    | {"“": '"', "”": '"', "‘": "'", "’": "'", "≤": r"\le ", "≥": r"\ge ", "∞": r"\infty "}
    | {"√": r"\sqrt ", "°": "", "²": "^2", "³": "^3", "，": ","}
)
_DROPPED = re.compile(
    r"\\(?:left|right|big|Big|bigl|bigr|displaystyle|quad|qquad)(?![A-Za-z])|\\[!,;: ]|~"
    r"|\^ ?\{?\\circ\}?|\\degree"
)
_TEMPERATURE = re.compile(
    r"(?:\^ ?\{?\\circ\}?|\\degree|°)\s?(?:\\(?:text|mathrm)\{\s?)?([CcFf])(?![A-Za-z])\}?"
)
_DEGREES = {"c": "celsius", "f": "fahrenheit"}
# A thin space between a number and a word stays a space.
_THIN_UNIT = re.compile(r"(?:(?<=\d)|(?<=\\pi))\s?(?:\\[,;: ]|~)\s?(?=[^\W\d_]{2})")
# "**18** eggs", "$18$ eggs", "\(18\) eggs"
_SET_NUMBER = re.compile(
    r"\s*(?:(\*\*|__|\$)([^\s*$]{1,60})\1|\\\(\s?(\S{1,60}?)\s?\\\))(?=\s[^\W\d_])"
)
_RENAMED = ((r"\dfrac", r"\frac"), (r"\tfrac", r"\frac"), (r"\cfrac", r"\frac"))
_OPERATORS = {"times": "*", "cdot": "*", "div": "/", "leq": "<=", "le": "<=", "geq": ">="}
_OPERATORS |= {"ge": ">=", "lt": "<", "gt": ">", "ne": "!=", "neq": "!=", "pi": "pi"}
_COMMAND = re.compile(r"\\([A-Za-z]+)\s?")
_BARE_ARGUMENT = re.compile(r"(\\frac\s?(?:\{[^{}]*\})?|\\sqrt)\s?([A-Za-z0-9])")
_SINGLE_EXPONENT = re.compile(r"([\^_])\s?\{\s?(\w)\s?\}")
_VARIABLE = re.compile(r"(?:[a-z]\s?)?=\s?(?=[^=\s])")
_LONE_OPERATOR = re.compile(r",\s?([-+*/=<>])\s?,")
_ARTICLE = re.compile(r"(?:the|an|a) (?=\w)")
_WORD_LIST = re.compile(r"[^\W\d_][\w'’.&-]*(?:,? [\w'’.&-]+)*")
_LABEL = re.compile(r"\((\w|[^\W\d_]+)\)")


def canonical_text(text: str) -> str:
    """One spelling per answer: numbers by value, lists element by element, words case-folded."""
    if len(text) > LONGEST:
        return " ".join(text.casefold().split())
    text = plain(text)
    number = parse_number(text)
    if number is not None:
        return spell(number)
    numbers = parse_numbers(text)
    if numbers is not None:
        return "[" + ",".join(map(spell, numbers)) + "]"
    label = _LABEL.fullmatch(text)
    if label is not None:
        return label.group(1)
    if _WORD_LIST.fullmatch(text):
        return _ARTICLE.sub("", " ".join(text.replace(",", " ").split()), count=1)
    return _symbols(text)


def plain(text: str) -> str:
    r"""Case-folded, without markup and spacing commands, one form per character and command."""
    number = _SET_NUMBER.match(text)
    if number is not None:
        text = (number[2] or number[3]) + text[number.end() :]
    text = _TEMPERATURE.sub(lambda match: f" {_DEGREES[match.group(1).lower()]}", text)
    text = unicodedata.normalize("NFKC", text.translate(_CHARACTERS)).replace("{,}", ",")
    text = _THIN_UNIT.sub(" ", text)
    text = unwrap(clean(text).replace("\\%", "%").replace("\\$", "$"))
    text = clean(_DROPPED.sub("", text)).casefold()
    for old, new in _RENAMED:
        text = text.replace(old, new)
    for _ in range(2):
        text = _BARE_ARGUMENT.sub(r"\1{\2}", text)
    text = _VARIABLE.sub("", text, count=1) if _VARIABLE.match(text) else text
    return " ".join(text.split())


def _symbols(text: str) -> str:
    """Maths and brackets: blanks mean nothing except between two words or two digits."""
    text = _LONE_OPERATOR.sub(r" \1 ", text)
    text = _COMMAND.sub(lambda match: _OPERATORS.get(match.group(1), match.group()), text)
    text = _SINGLE_EXPONENT.sub(r"\1\2", text)
    return re.sub(r"(?<=\W) | (?=\W)", "", text.strip(" ,"))
