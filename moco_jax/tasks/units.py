"""Numbers with units behind them: "18 eggs", "3.5 km/h", "18 dollars a day", "7小时".

Whether words are a unit is decided by what they are not: no further number, no variable, no word
that changes the value ("18 thousand") or joins it to something else ("18 or 19").
"""

import re
from dataclasses import dataclass

from moco_jax.tasks.numbers import Number, parse_number, same_number

LONGEST = 80  # characters of a unit
MOST_WORDS = 8

_NUMBER = (
    r"[+-]?\s?[$€£¥₹₽₩]?\s?"
    r"(?:\d[\d,.]*(?:\s?/\s?\d+)?(?:e[+-]?\d{1,4})?|\.\d+|\\frac\s?\{\d+\}\s?\{\d+\})"
)
_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\u0900-\u09ff\u0e00-\u0e7f"
_MARKS = "\u0900-\u0dff\u0e31-\u0e4e\u064b-\u0652"  # vowel signs, which are no letters to Python
SPLIT = re.compile(
    rf"(?:(?:us|au|ca|hk)\$|(?:usd|eur|gbp|rs\.?|rmb|inr)\s?)?(?P<number>{_NUMBER})"
    rf"(?P<unit>\s\S.*|[€£¥₹₽₩¢元円원][^\d]*|[{_CJK}][^\d]*|(?:mm|cm|km|kg|mg|ml|lbs?|oz|ft|mph|min|hrs?"
    r"|kmh|km/h|m/s|eur|usd|gbp)(?:\^\{?[23]\}?)?)?",
    re.DOTALL,
)
UNIT = re.compile(
    rf"\(?[^\W\d_](?:[^\W\d_'’.-]|[{_MARKS}])*(?:\^?\{{?-?[123]\}}?)?(?:[/*·-][^\W\d_]+\.?(?:\^?\{{?-?[123]\}}?)?)*[.)]{{0,2}}"
    r"|[€£¥$₹₽₩¢]|/|per"
)
EXPRESSION = re.compile(
    r"(?P<expression>[^\s]*\\(?:pi|sqrt|frac)(?:[^\s]*|\s?\{[^{}]{1,40}\}))"
    r"\s(?P<unit>[^\W\d_]{2}[^\\]*|[a-z]\^?[23]?)"
)
# Single letters that are units; others are variables.
_LETTERS = frozenset("mgshl")
_MEANS_MORE = re.compile(
    # Scales
    "hundreds?|thousands?|millions?|billions?|trillions?|dozens?|score|k|mn|bn|lakh|crore|hundert"
    "|tausend|millionen|milliarden|mille|mil|millones|mila|milioni|тысячи?|миллиона?|миллионов"
    "|ألف|مليون|हजार|लाख"
    # Mathematics, and words that join or deny
    "|x|times|modulo|mod|pi|sqrt|root|plus|minus|over|sin|cos|tan|log|ln|exp|equals|base|or|to|out"
    "|than|not?|nor|never|if|unless|is|are|was|oder|bis|ou|à|o|y|или|до"
    # Ordinals, hours, eras and months
    "|th|st|nd|rd|[ap]\\.?m|o'clock|bce?|ad|ce|jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may"
    "|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
_SCALES = re.compile("[百千万萬亿億兆만억천백]")


@dataclass(frozen=True)
class Measure:
    """A number and what it counts.

    Attributes:
        number: the value.
        unit: words in one form; empty for none.
    """

    number: Number
    unit: str


def parse_measure(text: str) -> Measure | None:
    """The number and unit that a whole text, in the form that `spelling.plain` gives, consists of.

    None where it is no number, or where what follows the number is no unit.
    """
    number = parse_number(text)
    if number is not None:
        return Measure(number, "")
    match = SPLIT.fullmatch(text)
    if match is None:
        return None
    number, unit = parse_number(match["number"]), (match["unit"] or "").strip()
    if number is None or not _is_unit(unit):
        return None
    return Measure(number, _one_form(unit))


def split_unit(text: str) -> tuple[str, str]:
    r"""An expression in LaTeX, as `12\pi`, and the unit behind it in one form, empty for none.

    Args:
        text: in the form that `spelling.plain` gives.
    """
    match = EXPRESSION.fullmatch(text)
    if match is None or not _is_unit(match["unit"]):
        return text, ""
    return match["expression"], _one_form(match["unit"])


def goes_on(text: str) -> bool:
    """Whether a text begins with a number and goes on in words."""
    return re.match(rf"{_NUMBER}\s[^\W\d_]{{2}}", text) is not None


def same_measure(given: Measure, gold: Measure, typed_float: bool = False) -> bool:
    """Whether two say the same; one without a unit may leave it to the other."""
    alike = not given.unit or not gold.unit or given.unit == gold.unit
    return alike and same_number(given.number, gold.number, typed_float)


def _is_unit(text: str) -> bool:
    if len(text) > LONGEST or "\\" in text or _SCALES.match(text):
        return False
    words = text.split()
    further = words[:1] + [word for word in words[1:] if word != "a"]  # "18 dollars a day"
    return len(words) <= MOST_WORDS and all(map(_may_measure, further))


def _may_measure(word: str) -> bool:
    bare = word.strip("().,!")
    if _MEANS_MORE.fullmatch(bare) or UNIT.fullmatch(word.rstrip(",!")) is None:
        return False
    letters = re.sub(r"\^?\{?-?[123]\}?", "", bare)
    return (
        len(letters) != 1 or letters in _LETTERS or not letters.isascii() or not letters.isalpha()
    )


def _one_form(unit: str) -> str:
    return " ".join(map(_singular, unit.strip("().").split()))


def _singular(word: str) -> str:
    word = word.rstrip(".,!)")
    return re.sub(r"(?<=[^\W\d_]{2})(?:(?<=ch|sh)es|(?<!s)s)$", "", word)
