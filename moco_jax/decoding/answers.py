"""From tokens to an answer: special tokens, stop strings and reasoning, in one place.

Stop strings and the marks of reasoning are looked for in the text with all its special tokens: they
may be such tokens, or hold some. What is shown of the text holds none.
"""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from moco_jax.decoding import loop
from moco_jax.decoding.types import Finish
from moco_jax.models.tokenizer import END_THINK, THINK, special_tokens, split_reasoning


class Answer(NamedTuple):
    """A finished answer: text, the reasoning before it, why it ended, and tokens kept."""

    text: str
    reasoning: str
    finish: Finish
    kept: int


def stop_at(
    text: str, stop: Sequence[str], thinking: bool, special: Collection[str] = ()
) -> int | None:
    """Character where the first stop string begins behind the reasoning; None without one.

    Args:
        text: as generated.
        stop: the strings.
        thinking: whether the prompt left the member inside an open `<think>`.
        special: texts of special tokens in it; one that a stop string begins in goes as a whole.
    """
    if split_reasoning(text, thinking)[2]:
        return None
    thought = text.rfind(END_THINK)
    start = 0 if thought < 0 else thought + len(END_THINK)
    places = [place for word in stop if (place := text.find(word, start)) >= 0]
    if not places:
        return None
    first = min(places)
    begun = (
        text.find(word, max(first - len(word) + 1, start), first + len(word)) for word in special
    )
    return min([first, *(place for place in begun if place >= 0)])


def split_answer(text: str, thinking: bool, hidden: Collection[str]) -> tuple[str, str]:
    """(answer, reasoning) of a text in which special tokens may stand.

    Args:
        text: up to the stop string, if there is one.
        thinking: whether the prompt left the member inside an open `<think>`.
        hidden: texts of special tokens that are not shown.
    """
    reasoning, answer, _ = split_reasoning(text, thinking)
    for word in sorted(hidden, key=len, reverse=True):
        reasoning, answer = reasoning.replace(word, ""), answer.replace(word, "")
    return answer, reasoning


@dataclasses.dataclass(frozen=True)
class Writer:
    """Turns a member's tokens into text.

    Attributes:
        tokenizer: a `transformers` tokenizer.
        eos: ids that end an answer.
        stop: strings that end an answer, special tokens among them; they count only behind the
            reasoning.
    """

    tokenizer: Any
    eos: tuple[int, ...]
    stop: tuple[str, ...]

    def stopped(self, tokens: np.ndarray, thinking: bool) -> bool:
        """Whether a stop string stands in the answer part of the text."""
        return bool(self.stop) and stop_at(self._text(tokens), self.stop, thinking) is not None

    def write(self, tokens: np.ndarray, finish: int, thinking: bool) -> Answer:
        """The answer that a stream holds.

        Args:
            tokens: i32[n], EOS included.
            finish: how the loop left the row.
            thinking: whether the prompt left the member inside an open `<think>`.
        """
        special = special_tokens(self.tokenizer)
        hidden = {special[token] for token in special.keys() & set(tokens.tolist())}
        text, kept = self._text(tokens), len(tokens)
        cut = stop_at(text, self.stop, thinking, hidden)
        ended: Finish = "length" if finish == loop.LENGTH else "stop"
        if cut is not None:
            kept = self._tokens_until_stop(tokens, thinking)
            text, ended = text[:cut], "stop"
        elif hidden and not hidden & {THINK, END_THINK}:
            # Tokens that are left out before decoding leave no space behind
            text, hidden = self._text(tokens, special=False), set()
        return Answer(*split_answer(text, thinking, hidden), ended, kept)

    def _text(self, tokens: np.ndarray, special: bool = True) -> str:
        """The text of tokens; special ones are written as they are called, or left out."""
        return self.tokenizer.decode(
            tokens.tolist(),
            skip_special_tokens=not special,
            clean_up_tokenization_spaces=False,
        )

    def _tokens_until_stop(self, tokens: np.ndarray, thinking: bool) -> int:
        """The fewest tokens whose text already holds a stop string, by bisection."""
        low, high = 1, len(tokens)
        while low < high:
            middle = (low + high) // 2
            if self.stopped(tokens[:middle], thinking):
                high = middle
            else:
                low = middle + 1
        return low
