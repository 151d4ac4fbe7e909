r"""Our small rules for numbers: what a text is worth, and when two texts are worth the same.

Read are integers, decimals, thousands commas (also `{,}`, `\,` and blanks), `a/b`,
`\frac{a}{b}`, `\frac12`, mixed numbers (`2 1/3`), scientific notation (`1.5e3`, `1.5 x 10^3`,
`1.5 \times 10^{3}`), any sign, a leading
currency sign, and a trailing `%` or degree sign, which count as units: `50%` is worth 50. So do
the words dollars, percent, degrees and units.
Lists are numbers between commas, in square brackets or none. Roots, powers, constants and
variables are not numbers here.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

LONGEST = 200  # characters; beyond it a text is not read as a number
LONGEST_LIST = 4000
LARGEST_EXPONENT = 400
TYPED_TOLERANCE = Fraction(1, 100)  # relative, for golds whose file calls them floats
FEWEST_DIGITS = 3  # of a rounded answer to a gold that has no short decimal form

_DECIMAL = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d+(?:\.\d*)?|\.\d+)"
_POWER = (
    r"(?:[e](?P<e>[+-]?\d{1,4})|\s?(?:\*|x|×|\\times|\\cdot)\s?10\s?\^\s?\{?(?P<p>[+-]?\d{1,4})\}?)"
)
DECIMAL = re.compile(rf"(?P<sign>[+-]?)\s?(?P<body>{_DECIMAL}){_POWER}?", re.IGNORECASE | re.ASCII)
SPACED_THOUSANDS = re.compile(r"[+-]?[$€£¥₹₽₩]?\d{1,3}(?: \d{3})+(?:\.\d+)?", re.ASCII)
FRACTION = re.compile(r"([+-]?)\s?(?:(\d+)\s)?([+-]?\d+)\s?/\s?([+-]?\d+)", re.ASCII)
FRAC = re.compile(
    r"([+-]?)\s?(\d*)\s?\\[dtc]?frac\s?(?:\{\s?([+-]?\d+)\s?\}|(\d))\s?(?:\{\s?([+-]?\d+)\s?\}|(\d))",
    re.ASCII,
)


@dataclass(frozen=True)
class Number:
    """An exact value, and how precisely it was written.

    Attributes:
        value: the value.
        step: worth of the last written digit; None where the text gives the value exactly, as a
            fraction does.
        digits: significant digits written.
    """

    value: Fraction
    step: Fraction | None
    digits: int


def parse_number(text: str) -> Number | None:
    """The number a whole text is, None where it is something else."""
    if len(text) > LONGEST:
        return None
    text = _without_units(" ".join(text.split()))
    return _parse_fraction(text) or _parse_decimal(text)


def _without_units(text: str) -> str:
    text = text.replace("\\!", "").replace("\\,", "").replace("\\$", "$").replace("−", "-")
    text = text.replace("{,}", ",")
    if SPACED_THOUSANDS.fullmatch(text):
        text = text.replace(" ", "")
    text = re.sub(
        r"(?:\\?%|\^ ?\{?\\circ\}?|°|\\degree| (?:dollar|degree|unit)s?| usd| percent)$", "", text
    ).rstrip()
    return re.sub(r"^(?:\\approx|≈)? ?([+-]?) ?[$€£¥₹₽₩]? ?", r"\1", text)


def _parse_decimal(text: str) -> Number | None:
    match = DECIMAL.fullmatch(text)
    if match is None:
        return None
    exponent = int(match["e"] or match["p"] or 0)
    if abs(exponent) > LARGEST_EXPONENT:
        return None
    body = match["body"].replace(",", "")
    decimals = len(body.partition(".")[2])
    digits = body.replace(".", "")
    step = Fraction(10) ** (exponent - decimals)
    sign = -1 if match["sign"] == "-" else 1
    return Number(sign * int(digits) * step, step, len(digits.lstrip("0")))


def _parse_fraction(text: str) -> Number | None:
    if (match := FRACTION.fullmatch(text)) is not None:
        sign, whole, top, bottom = match.groups()
    elif (match := FRAC.fullmatch(text)) is not None:
        sign, whole = match[1], match[2]
        top, bottom = match[3] or match[4], match[5] or match[6]
    else:
        return None
    if int(bottom) == 0:
        return None
    value = int(whole or 0) + Fraction(int(top), int(bottom))
    return Number(-value if sign == "-" else value, None, len(top) + len(bottom))


def parse_numbers(text: str) -> tuple[Number, ...] | None:
    """The numbers of `[1, 2]` or `1, 2`; None where a text is no list of two or more, or `[1]`."""
    text = text.strip()
    bracketed = text.startswith("[") and text.endswith("]")
    parts = (text[1:-1] if bracketed else text).split(",")
    if len(text) > LONGEST_LIST or (len(parts) < 2 and not bracketed):
        return None
    numbers = tuple(parse_number(part) for part in parts)
    found = tuple(number for number in numbers if number is not None)
    return found if len(found) == len(numbers) else None


def same_number(given: Number, gold: Number, typed_float: bool = False) -> bool:
    """Whether an answer states the gold's value.

    Values are compared exactly. Two allowances: a gold its file calls a float accepts 1% (of the
    gold; the value itself for 0), and a gold that is a fraction or has more than six digits
    accepts a decimal that is its correct rounding to at least three significant digits.
    """
    if given.value == gold.value:
        return True
    gap = abs(given.value - gold.value)
    if typed_float and gap <= TYPED_TOLERANCE * abs(gold.value):
        return True
    long_gold = gold.step is None or (gold.step < 1 and gold.digits > 6)
    rounded = given.step is not None and given.step < 1 and given.digits >= FEWEST_DIGITS
    return long_gold and rounded and given.step is not None and 2 * gap <= given.step


def spell(number: Number) -> str:
    """One spelling per value: `7`, `-1/2`."""
    return str(number.value)
