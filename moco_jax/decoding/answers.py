"""From tokens to an answer: special tokens, stop strings and reasoning, in one place."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from moco_jax.decoding import loop
from moco_jax.decoding.types import Finish
from moco_jax.models.tokenizer import END_THINK, split_reasoning


class Answer(NamedTuple):
    """A finished answer: text, the reasoning before it, why it ended, and tokens kept."""

    text: str
    reasoning: str
    finish: Finish
    kept: int


def stop_at(text: str, stop: Sequence[str], thinking: bool) -> int | None:
    """Character where the first stop string begins behind the reasoning; None without one.

    Args:
        text: as generated.
        stop: the strings.
        thinking: whether the prompt left the member inside an open `<think>`.
    """
    if split_reasoning(text, thinking)[2]:
        return None
    thought = text.rfind(END_THINK)
    start = 0 if thought < 0 else thought + len(END_THINK)
    places = [place for word in stop if (place := text.find(word, start)) >= 0]
    return min(places, default=None)


@dataclasses.dataclass(frozen=True)
class Writer:
    """Turns a member's tokens into text.

    Attributes:
        tokenizer: a `transformers` tokenizer.
        eos: ids that end an answer.
        stop: strings that end an answer; they count only behind the reasoning.
    """

    tokenizer: Any
    eos: tuple[int, ...]
    stop: tuple[str, ...]

    def text(self, tokens: Sequence[int] | np.ndarray) -> str:
        """Plain text of tokens, without special ones."""
        return self.tokenizer.decode(
            [int(token) for token in tokens],
            skip_special_tokens=True,
            clean_up_tokenization_spaces=False,
        )

    def stopped(self, tokens: np.ndarray, thinking: bool) -> bool:
        """Whether a stop string stands in the answer part of the text."""
        return bool(self.stop) and self._stop_at(self.text(tokens), thinking) is not None

    def write(self, tokens: np.ndarray, finish: int, thinking: bool) -> Answer:
        """The answer that a stream holds.

        Args:
            tokens: i32[n], EOS included.
            finish: how the loop left the row.
            thinking: whether the prompt left the member inside an open `<think>`.
        """
        text, kept = self.text(tokens), len(tokens)
        cut = self._stop_at(text, thinking)
        ended: Finish = "length" if finish == loop.LENGTH else "stop"
        if cut is not None:
            kept = self._tokens_until_stop(tokens, thinking)
            text, ended = text[:cut], "stop"
        reasoning, answer, _ = split_reasoning(text, thinking)
        return Answer(answer, reasoning, ended, kept)

    def _stop_at(self, text: str, thinking: bool) -> int | None:
        """Character where the first stop string begins; None without one."""
        return stop_at(text, self.stop, thinking)

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
