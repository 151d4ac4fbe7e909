"""Half characters: JSON can spell one half of an emoji, which no tokenizer and no file takes."""

import re
from typing import Any

_HALF = re.compile("[\ud800-\udfff]")


def refuse_halves(value: Any, name: str) -> None:
    """Raises a ValueError where a text holds a lone surrogate.

    Args:
        value: a text, or JSON lists and objects of any depth.
        name: what the text is called; its place within lists and objects is added.
    """
    found = _first(value, name)
    if found is not None:
        place, half = found
        raise ValueError(
            f"{place} holds half a character (\\u{ord(half):04x}, a lone surrogate), as texts do "
            "that were cut within an emoji; take it out or put the whole character"
        )


def _first(value: Any, name: str) -> tuple[str, str] | None:
    """(place, half character) of the first one."""
    waiting = [(value, name)]
    while waiting:
        value, name = waiting.pop()
        if isinstance(value, str):
            half = None if value.isascii() else _HALF.search(value)
            if half is not None:
                return name, half.group()
        elif isinstance(value, dict):
            inside = [(part, f"{name}.{key!s}") for key, part in value.items()]
            inside += [(key, f"a name in {name}") for key in value if isinstance(key, str)]
            waiting += reversed(inside)
        elif isinstance(value, list | tuple):
            waiting += reversed([(part, f"{name}[{n}]") for n, part in enumerate(value)])
    return None
