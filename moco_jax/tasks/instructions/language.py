"""The instruction to answer in one language, judged by py3langid (extra `language`)."""

import functools
import importlib
from collections.abc import Callable

LONGEST = 20_000  # characters that are looked at


def response_language(text: str, language: str) -> bool:
    """The text is in the language of an ISO 639-1 code."""
    return _identifier()(text[:LONGEST])[0] == language


def require_identifier() -> None:
    """Raises a ValueError where no language identification is installed."""
    _identifier()


@functools.cache
def _identifier() -> Callable[[str], tuple[str, float]]:
    """What tells a text's language and how sure that is."""
    try:
        return importlib.import_module("py3langid").classify
    except ImportError as error:
        raise ValueError(
            "the instruction language:response_language needs the library py3langid; "
            "install it with: pip install 'moco_jax[language]'"
        ) from error
