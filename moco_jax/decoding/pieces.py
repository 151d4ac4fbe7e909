"""The text that each token adds: exact, with the spaces and characters that tokens share."""

from collections.abc import Collection, Sequence
from typing import Any

from moco_jax.models.tokenizer import END_THINK, THINK, special_tokens

BROKEN = "\ufffd"
"""What a tokenizer writes for bytes that are no character, or not yet one."""
CONTEXT = 8
"""Tokens decoded before those in question, so that a space at their beginning is kept."""


def shown_tokens(tokenizer: Any, stop: Sequence[str], eos: Collection[int]) -> frozenset[int]:
    """Special tokens that stop strings or the marks of reasoning may be made of.

    Args:
        tokenizer: a `transformers` tokenizer.
        stop: strings that end an answer.
        eos: ids that end it anyway; such a token counts only where it holds a whole stop string.
    """
    found = set()
    for token, text in special_tokens(tokenizer).items():
        whole = any(word in text for word in stop)
        mark = text in (THINK, END_THINK) or any(_overlap(text, word) for word in stop)
        if whole or (mark and token not in eos):
            found.add(token)
    return frozenset(found)


def _overlap(text: str, word: str) -> bool:
    """Whether a token's text may stand in a word, or reach over its beginning or end."""
    sizes = range(1, min(len(text), len(word)))
    return text in word or any(
        text[-size:] == word[:size] or word[-size:] == text[:size] for size in sizes
    )


def pieces(
    tokenizer: Any,
    before: Sequence[int],
    tokens: Sequence[int],
    shown: frozenset[int] = frozenset(),
) -> tuple[tuple[str, ...], str]:
    """Cuts the text of tokens by token.

    Args:
        tokenizer: a `transformers` tokenizer.
        before: the tokens that they follow; special ones have no text.
        tokens: what was generated.
        shown: special tokens that have a text all the same.

    Returns:
        the text that each token adds, "" where its character is not complete yet and for special
        tokens; and the text of those at the end whose character never was.
    """
    ids = [*(int(token) for token in before[-CONTEXT:]), *(int(token) for token in tokens)]
    hidden = special_tokens(tokenizer).keys() - shown
    start, read = 0, len(ids) - len(tokens)
    found = []
    rest = ""
    for end in range(read + 1, len(ids) + 1):
        old, new = (_text(tokenizer, ids[start:place], hidden) for place in (read, end))
        rest = new[len(old) :]
        found.append("" if rest.endswith(BROKEN) else rest)
        if found[-1]:
            start, read, rest = read, end, ""
    return tuple(found), rest


def _text(tokenizer: Any, tokens: Sequence[int], hidden: Collection[int]) -> str:
    seen = [token for token in tokens if token not in hidden]
    return tokenizer.decode(seen, clean_up_tokenization_spaces=False) if seen else ""
