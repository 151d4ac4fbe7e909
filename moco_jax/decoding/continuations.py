"""Texts that stand behind a prompt, as tokens to be scored.

Prompt and text are encoded together, as one text: a tokenizer may put a space before whatever it
encodes, and may join the end of the prompt and the beginning of the text into one token. What is
scored begins with the first token that is not the prompt's own; where the last tokens of the prompt
become others, the score covers those that they become. Texts that are compared with each other all
begin at one place.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from moco_jax.decoding.render import Speaker, at_once, render
from moco_jax.decoding.types import Request, Sampling
from moco_jax.models.tokenizer import ChatTemplate
from moco_jax.tasks.surrogates import refuse_halves

Tokens = Sequence[int] | np.ndarray


class Continuations(NamedTuple):
    """A prompt i32[p] and what may follow it, i32[n] each; all of at least one token."""

    prompt: np.ndarray
    texts: tuple[np.ndarray, ...]


def continuations(
    speaker: Speaker, request: Request, texts: Sequence[str], sampling: Sampling
) -> Continuations | None:
    """Texts behind a request's prompt; None where the member's context does not hold them.

    Raises:
        ValueError: a text has no tokens, or holds a lone surrogate.
    """
    refuse_halves(list(texts), "the continuations")
    tokens = render((speaker,), request, sampling).tokens[0]
    head = speaker.template.text(request.messages, request.prefix, sampling.thinking)
    return follow(speaker, head, tokens, texts)


def replies(
    speaker: Speaker, request: Request, labels: Sequence[str], sampling: Sampling
) -> Continuations | None:
    """Labels as whole replies, given at once and ended; None where the context is too short.

    Each ends as the member ends its turns (`ending`), so that "1" is another reply than "10".
    """
    request, sampling, prompt = at_once(speaker, request, sampling)
    head = speaker.template.text(request.messages, request.prefix, sampling.thinking)
    return follow(speaker, head, prompt.tokens[0], labels, ended=True)


def follow(
    speaker: Speaker, head: str, tokens: Tokens, texts: Sequence[str], ended: bool = False
) -> Continuations | None:
    """Texts behind a text that a member has read.

    Args:
        speaker: the member.
        head: the rendered text.
        tokens: i32[p] what the member reads of it: its tokens, maybe without some of the middle.
        texts: what may follow, each on its own.
        ended: whether the member's turn ends behind each.

    Returns:
        None where the longest of them exceeds the member's context.

    Raises:
        ValueError: a text has no tokens.
    """
    suffix, end = ending(speaker) if ended else ("", ())
    start, found = beyond(speaker.template, head, tokens, [text + suffix for text in texts])
    for text, part in zip(texts, found, strict=True):
        if not part:
            raise ValueError(f"the text {text!r} has no tokens for {speaker.name} to score")
    if len(start) + max(map(len, found)) + len(end) > speaker.config.max_positions:
        return None
    parts = [np.array([*part, *end], np.int32) for part in found]
    return Continuations(np.array(start, np.int32), tuple(parts))


def beyond(
    template: ChatTemplate, head: str, tokens: Tokens, texts: Sequence[str]
) -> tuple[list[int], list[list[int]]]:
    """Divides each text and what stands before it, encoded together, at one place for all.

    Args:
        template: of the member.
        head: what stands before.
        tokens: what the member reads of that, at least one token.
        texts: what follows, each on its own.

    Returns:
        the tokens that all share, at least one, and those of each text beyond them.
    """
    tokens = [int(token) for token in tokens]
    alone = template.encode(head)
    wholes = [template.encode(head + text) for text in texts]
    same = min(_alike(alone, whole) for whole in wholes)
    changed = alone[same:]
    kept = len(tokens) - len(changed)
    if kept > 0 and tokens[kept:] == changed:
        return tokens[:kept], [whole[same:] for whole in wholes]
    # What it has read ends otherwise than the text is encoded, or would change from its first token
    plain = [template.tokenizer.encode(text, add_special_tokens=False) for text in texts]
    return tokens, plain


def ending(speaker: Speaker) -> tuple[str, tuple[int, ...]]:
    """What a member writes when it has said all, as (text, token ids), one of them empty.

    The end token that its template writes behind an assistant's turn, or else its own; a member
    without any has what the template writes there, or a new line.
    """
    written, eos = speaker.template.closing, speaker.eos
    ids = speaker.tokenizer.encode(written, add_special_tokens=False)
    own = [speaker.tokenizer.eos_token_id, *eos]
    ends = [token for token in (*ids, *own) if token in eos]
    return ("", (ends[0],)) if ends else (written or "\n", ())


def _alike(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two texts begin with alike."""
    pairs = zip(first, second, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))
