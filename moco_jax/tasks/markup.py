"""Taking text apart: thinking, boxes, tags, markup. Every function is linear in its text.

Regular expressions here only use bounded repeats or single character classes, so that no output,
however degenerate, makes them slow.
"""

import re

THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"

BOX = re.compile(r"\\box(?:ed)?[ \t]{0,4}\{")
BOX_SPACE = re.compile(r"\\box(?:ed)?[ \t]{1,4}(?![ \t{\n])")
WRAPPING = re.compile(r"\\(?:text(?:bf|it|rm)?|math(?:rm|bf|it)|mbox|box|boxed)\s?\{")
BRACKET_RUN = re.compile(r"[()\[\]{}<>]+(?: [()\[\]{}<>]+)*", re.ASCII)
WRAPPERS = (("**", "**"), ("__", "__"), ("*", "*"), ("`", "`"), ("$", "$"), ('"', '"'), ("'", "'"))
LATEX_WRAPPERS = (("\\(", "\\)"), ("\\[", "\\]"), ("“", "”"), ("‘", "’"), ("「", "」"))


def strip_thinking(text: str) -> str:
    """The text after the last `</think>`, and before a `<think>` that never closes."""
    close = text.rfind(THINK_CLOSE)
    if close >= 0:
        text = text[close + len(THINK_CLOSE) :]
    opened = text.find(THINK_OPEN)
    return text if opened < 0 else text[:opened]


def boxes(text: str) -> list[str]:
    r"""Contents of every balanced `\box{}` or `\boxed{}`, by where they open; escaped braces count.

    An answer that consists of brackets alone need not balance: `\boxed{> } >}` holds `> } >`.
    """
    closes = _closing_braces(text)
    found: list[str] = []
    for match in BOX.finditer(text):
        start = match.end()
        run = BRACKET_RUN.match(text, start)
        if run is not None and run.group().count("}") > run.group().count("{"):
            found.append(text[start : start + run.group().rindex("}")])
        elif start - 1 in closes:
            found.append(text[start : closes[start - 1]])
    return found


def _closing_braces(text: str) -> dict[int, int]:
    """Position of every `{` that closes, to the position of its `}`."""
    pairs: dict[int, int] = {}
    opened: list[int] = []
    for match in re.finditer(r"\\.|[{}]", text, re.DOTALL):
        if match.group() == "{":
            opened.append(match.start())
        elif match.group() == "}" and opened:
            pairs[opened.pop()] = match.start()
    return pairs


def open_box(text: str) -> str | None:
    r"""The rest of the line after the last `\boxed 7` or a `\boxed{7` that never closes."""
    starts = [match.end() for match in BOX.finditer(text)]
    starts += [match.end() for match in BOX_SPACE.finditer(text)]
    return text[max(starts) :].split("\n", 1)[0] if starts else None


def tagged(text: str) -> str | None:
    """What the last `<answer>...</answer>` holds."""
    lowered = text.lower()
    close = lowered.rfind("</answer>")
    start = lowered.rfind("<answer>", 0, max(close, 0))
    return None if start < 0 or len(lowered) != len(text) else text[start + 8 : close]


def unwrap(text: str) -> str:
    r"""Replaces `\text{x}` and its kin, boxes included, by `x`."""
    starts = {match.end() - 1: match.start() for match in WRAPPING.finditer(text)}
    if not starts:
        return text
    cuts: list[tuple[int, int]] = []
    for left, right in _closing_braces(text).items():
        if left in starts:
            cuts += [(starts[left], left + 1), (right, right + 1)]
    kept: list[str] = []
    position = 0
    for start, end in sorted(cuts):
        kept.append(text[position:start])
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
