"""The text that each token adds: exact, with the spaces and characters that tokens share."""

from collections.abc import Sequence
from typing import Any

BROKEN = "\ufffd"
"""What a tokenizer writes for bytes that are no character, or not yet one."""
CONTEXT = 8
"""Tokens decoded before those in question, so that a space at their beginning is kept."""


def pieces(
    tokenizer: Any, before: Sequence[int], tokens: Sequence[int]
) -> tuple[tuple[str, ...], str]:
    """Cuts the text of tokens by token.

    Args:
        tokenizer: a `transformers` tokenizer.
        before: the tokens that they follow; special ones have no text.
        tokens: what was generated.

    Returns:
        the text that each token adds, "" where its character is not complete yet and for special
        tokens; and the text of those at the end whose character never was.
    """
    ids = [*(int(token) for token in before[-CONTEXT:]), *(int(token) for token in tokens)]
    start, read = 0, len(ids) - len(tokens)
    found = []
    rest = ""
    for end in range(read + 1, len(ids) + 1):
        old, new = _text(tokenizer, ids[start:read]), _text(tokenizer, ids[start:end])
        rest = new[len(old) :]
        found.append("" if rest.endswith(BROKEN) else rest)
        if found[-1]:
            start, read, rest = read, end, ""
    return tuple(found), rest


def _text(tokenizer: Any, tokens: Sequence[int]) -> str:
    if not tokens:
        return ""
    return tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
