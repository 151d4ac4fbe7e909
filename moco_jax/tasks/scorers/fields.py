"""Reading the fields of one row of a task file; every error names the field and its remedy."""

import json
import re
from collections.abc import Mapping
from typing import Any

from moco_jax.tasks.items import Gold
from moco_jax.tasks.scorers.base import Content

_HASHES = re.compile(r"(?:.*[ \t])?#{4}[ \t]*([^\s#].*)\Z")


def text_field(row: Mapping[str, Any], name: str) -> str:
    """A required text, without NUL characters and trailing white space."""
    return raw_field(row, name).replace("\0", "").rstrip()


def raw_field(row: Mapping[str, Any], name: str) -> str:
    """A required text as it stands."""
    if name not in row:
        raise ValueError(f"field {name!r} is missing; the row has {sorted(row)}")
    value = row[name]
    if not isinstance(value, str):
        raise ValueError(f"field {name!r} must be a string, not {type(value).__name__}")
    return value


def read_free_text(row: Mapping[str, Any]) -> Content:
    """A row `{input, output}`; `output` is a scalar, a list of aliases, or a JSON list in a text.

    Of a solution that ends in "#### 72", the answer is what stands behind the mark. A row whose
    `output` is null has no gold. `answer_type` is kept where the row has one.
    """
    question = text_field(row, "input")
    if "output" not in row:
        raise ValueError(f"field 'output' is missing; the row has {sorted(row)}")
    if row["output"] is None:
        return Content(question, (), None)
    return Content(question, (), Gold(_aliases(row["output"]), row.get("answer_type")))


def _aliases(output: object) -> tuple[str, ...]:
    if isinstance(output, bool | int | float):
        return (str(output),)
    if isinstance(output, list) and output and all(isinstance(alias, str) for alias in output):
        return tuple(map(_final, output))
    if not isinstance(output, str):
        raise ValueError(
            "field 'output' must be a string, a number or a list of strings, "
            f"not {type(output).__name__}"
        )
    return _json_aliases(output) or (_final(output),)


def _final(text: str) -> str:
    """What a solution has behind "####" in its last line; any other text as it stands."""
    last_line = text.rstrip().rsplit("\n", 1)[-1]
    found = _HASHES.match(last_line)
    return found[1].strip() if found is not None else text


def _json_aliases(text: str) -> tuple[str, ...]:
    """The strings of a JSON list inside a text; empty where the text is no such list."""
    if not text.lstrip().startswith("["):
        return ()
    try:
        parsed = json.loads(text)
    except ValueError:
        return ()
    is_aliases = isinstance(parsed, list) and all(isinstance(alias, str) for alias in parsed)
    return tuple(parsed) if is_aliases else ()
