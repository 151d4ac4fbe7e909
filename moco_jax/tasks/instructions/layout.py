"""Instructions about the form of a text: markup, how it starts and ends, its case, its parts."""

import json
import re
from itertools import pairwise

BULLET = re.compile(r"^[ \t]*+(?:\*(?!\*)|-(?!-))[^\n]", re.MULTILINE)
ITALIC = re.compile(r"\*([^\n*]*+)\*")
BOLD = re.compile(r"\*\*([^\n*]*+)\*\*")
TITLE_OPEN, TITLE_CLOSE = "<<", ">>"
FENCE_OPEN = re.compile(r"```(?:json)?", re.IGNORECASE)
ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
DIVIDER = "******"


def bullet_lists(text: str, num_bullets: int) -> bool:
    """Exactly so many markdown bullets, `* ` or `- `."""
    return len(BULLET.findall(text)) == num_bullets


def highlights(text: str, num_highlights: int) -> bool:
    """At least so many `*highlighted*` or `**highlighted**` stretches, each within one line."""
    found = [*ITALIC.findall(text), *BOLD.findall(text)]
    return sum(bool(stretch.strip()) for stretch in found) >= num_highlights


def sections(text: str, section_spliter: str, num_sections: int) -> bool:
    """At least so many headings made of the word and a number, as in "Section 1"."""
    return len(re.findall(re.escape(section_spliter) + r"\s?\d", text)) >= num_sections


def title(text: str) -> bool:
    """A title in double angular brackets, `<<title>>`, within one line."""
    return any(_has_title(line) for line in text.split("\n"))


def _has_title(line: str) -> bool:
    start, end = line.find(TITLE_OPEN), line.rfind(TITLE_CLOSE)
    return 0 <= start < end and bool(line[start:end].strip("<> \t"))


def json_format(text: str) -> bool:
    """The whole text, a code fence around it aside, is JSON."""
    text = text.strip()
    opened = FENCE_OPEN.match(text)
    text = text[opened.end() :] if opened else text
    try:
        json.loads(text.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def constrained_response(text: str) -> bool:
    """One of the three allowed answers stands in the text, exactly as it is written."""
    return any(answer in text for answer in ANSWERS)


def placeholders(text: str, num_placeholders: int) -> bool:
    """At least so many stretches in square brackets, each within one line; they may be empty."""
    return sum(map(_bracketed, text.split("\n"))) >= num_placeholders


def _bracketed(line: str) -> int:
    count, opened = 0, False
    for mark in re.findall(r"[\[\]]", line):
        count += opened and mark == "]"
        opened = mark == "["
    return count


def postscript(text: str, postscript_marker: str) -> bool:
    """The marker in any case, with or without blanks between its letters.

    "P.P.S." needs no last dot, as the paper's own marker "P.P.S" has none; "P.S." does.
    """
    letters = [re.escape(letter) for letter in postscript_marker.casefold() if letter.isalnum()]
    if not letters:
        return postscript_marker.casefold() in text.casefold()
    final = re.escape(".") if postscript_marker.endswith(".") and len(letters) < 3 else ""
    return re.search(r"\.\s?".join(letters) + final, text.casefold()) is not None


def end_phrase(text: str, end_phrase: str) -> bool:
    """The text ends with the phrase, case and a closing quotation mark aside."""
    return text.strip().strip('"').casefold().endswith(end_phrase.strip().casefold())


def quotation(text: str) -> bool:
    """Double quotation marks stand around the whole text."""
    text = text.strip()
    return len(text) > 1 and text.startswith('"') and text.endswith('"')


def all_capital(text: str) -> bool:
    """Every letter is a capital, and there is one.

    Letters of scripts without case break the rule: the text is to be English.
    """
    letters = [character for character in text if character.isalpha()]
    return bool(letters) and all(map(str.isupper, letters))


def all_lowercase(text: str) -> bool:
    """Every letter is a small one, and there is one; scripts without case break the rule."""
    letters = [character for character in text if character.isalpha()]
    return bool(letters) and all(map(str.islower, letters))


def no_comma(text: str) -> bool:
    """No comma."""
    return "," not in text


def repeat_prompt(text: str, prompt_to_repeat: str) -> bool:
    """The text opens with the request, case aside."""
    return text.strip().casefold().startswith(prompt_to_repeat.strip().casefold())


def two_responses(text: str) -> bool:
    """Two different texts with six asterisks between them."""
    parts = [part.strip() for part in text.split(DIVIDER)]
    if not all(parts[1:-1]):
        return False
    given = [part for part in parts if part]
    return len(given) == 2 and all(first != second for first, second in pairwise(given))
