"""Taking text apart: thinking, boxes, tags, markup. Every function is linear in its text.

Regular expressions here only use bounded repeats or single character classes, so that no output,
however degenerate, makes them slow.
"""

import re

THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"

BOX = re.compile(r"\\f?box(?:ed)?[ \t]{0,4}\{")
BOX_SPACE = re.compile(r"\\f?box(?:ed)?[ \t]{1,4}(?![ \t{\n])")
WRAPPING = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|normal)?|math(?:rm|bf|it|sf)|operatorname|[mf]?box|boxed|rm|bf|it)\s?\{"
    r"|\{\\(?:rm|bf|it|sf)\s"
)
TAG_OPEN = re.compile("<answer>", re.IGNORECASE)
TAG_CLOSE = re.compile("</answer>", re.IGNORECASE)
BRACKET_RUN = re.compile(r"[()\[\]{}<>]+(?: [()\[\]{}<>]+)*", re.ASCII)
BEHIND_DIGIT = re.compile(r"(?:\d\}?|\\pi)\s?(?:\\[,;:! ]|~)?\s?\Z")
UNIT_OPENS = re.compile(r"\s?(?:(?!(?:st|nd|rd|th)\b)[^\W\d_]{2}|[mgshlJNVW]\s?[}/^])")
WRAPPERS = (("**", "**"), ("__", "__"), ("*", "*"), ("`", "`"), ("$", "$"), ('"', '"'), ("'", "'"))
LATEX_WRAPPERS = (("\\(", "\\)"), ("\\[", "\\]"), ("“", "”"), ("‘", "’"), ("「", "」"))


def strip_thinking(text: str) -> str:
    """The text after the last `</think>`, and before a `<think>` that never closes."""
    close = text.rfind(THINK_CLOSE)
    if close >= 0:
        text = text[close + len(THINK_CLOSE) :]
    opened = text.find(THINK_OPEN)
    return text if opened < 0 else text[:opened]


def boxes(text: str, last: int = 8) -> list[str]:
    r"""Contents of the last balanced `\box{}` or `\boxed{}`, the one that opens last first.

    An answer that consists of brackets alone need not balance: `\boxed{> } >}` holds `> } >`.
    """
    closes = closing_braces(text)
    matched = set(closes.values())
    found: list[str] = []
    for match in reversed(list(BOX.finditer(text))):
        start = match.end()
        run = BRACKET_RUN.match(text, start)
        final = -1 if run is None else text.rfind("}", start, run.end())
        if final >= 0 and final not in matched:
            found.append(text[start:final])
        elif start - 1 in closes:
            found.append(text[start : closes[start - 1]])
        if len(found) == last:
            break
    return found


def closing_braces(text: str) -> dict[int, int]:
    """Position of every `{` that closes, to the position of its `}`; escaped braces are text."""
    pairs: dict[int, int] = {}
    opened: list[int] = []
    for match in re.finditer(r"\\.|[{}]", text, re.DOTALL):
        if match.group() == "{":
            opened.append(match.start())
        elif match.group() == "}" and opened:
            pairs[opened.pop()] = match.start()
    return pairs


def open_box(text: str) -> str | None:
    r"""The rest of the line after the last `\boxed 7`, or `\boxed{7` that never closes.

    Empty where every box closes, None where there is no box.
    """
    closes = closing_braces(text)
    braced = [match.end() for match in BOX.finditer(text)]
    starts = [start for start in braced if start - 1 not in closes]
    starts += [match.end() for match in BOX_SPACE.finditer(text)]
    if not starts:
        return "" if braced else None
    return text[max(starts) :].split("\n", 1)[0]


def tagged(text: str) -> str | None:
    """What the last `<answer>...</answer>` holds."""
    closes = [match.start() for match in TAG_CLOSE.finditer(text)]
    opens = [match.end() for match in TAG_OPEN.finditer(text, 0, closes[-1])] if closes else []
    return text[opens[-1] : closes[-1]] if opens else None


def unwrap(text: str) -> str:
    r"""Replaces `\text{x}`, `{\rm x}` and their kin, boxes included, by `x`."""
    starts = {
        match.start() if match.group().startswith("{") else match.end() - 1: match.span()
        for match in WRAPPING.finditer(text)
    }
    if not starts:
        return text
    cuts: list[tuple[int, int]] = []
    for left, right in closing_braces(text).items():
        if left in starts:
            cuts += [starts[left], (right, right + 1)]
    kept: list[str] = []
    position = 0
    for start, end in sorted(cuts):
        kept.append(text[position:start])
        # A unit stays apart from its number
        behind_digit = BEHIND_DIGIT.search(text[max(0, start - 6) : start])
        if end > start + 1 and behind_digit and UNIT_OPENS.match(text, end):
            kept.append(" ")
        position = end
    return "".join([*kept, text[position:]])


def clean(text: str) -> str:
    """Without surrounding blanks, emphasis, quotes and maths signs, and without final dots."""
    text = text.strip()
    for _ in range(8):
        before = text
        text = text.rstrip(".!。").strip()
        for left, right in WRAPPERS + LATEX_WRAPPERS:
            if text.startswith(left) and text.endswith(right) and len(text) > len(left + right):
                text = text[len(left) : -len(right)].strip()
        text = _dangling(text)
        if text == before:
            break
    return text


def _dangling(text: str) -> str:
    """Drops emphasis that opens or closes nothing, as a cut at a line end leaves it."""
    if text.count("**") == 1:
        text = text.removeprefix("**").removesuffix("**").strip()
    return text
