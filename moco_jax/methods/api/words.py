"""Where words end, for protocols in which members write word by word."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from moco_jax.decoding.combine import Aux, Choice, Combine


@functools.lru_cache(maxsize=8)
def word_breaks(tokenizer: Any) -> bytes:
    """Whether the text that a token adds holds whitespace, one bit per token, packed.

    Args:
        tokenizer: a `transformers` tokenizer.
    """
    # Behind another token, because a decoder may drop the space that a text begins with
    anchor = tokenizer.encode("a", add_special_tokens=False)[-1:]
    size = max(tokenizer.get_vocab().values()) + 1
    start = len(tokenizer.decode(anchor, clean_up_tokenization_spaces=False))
    texts = tokenizer.batch_decode(
        [[*anchor, token] for token in range(size)],
        skip_special_tokens=True,
        clean_up_tokenization_spaces=False,
    )
    found = [any(map(str.isspace, text[start:])) for text in texts]
    # Ids beyond the vocabulary read the last bit
    return np.packbits([*found, False]).tobytes()


def breaking(breaks: bytes, tokens: jax.Array) -> jax.Array:
    """Which of tokens i32[B] hold whitespace, by the bits of `word_breaks`; bool[B]."""
    return jnp.asarray(np.unpackbits(np.frombuffer(breaks, np.uint8)), bool)[tokens]


@dataclasses.dataclass(frozen=True)
class SomeWords:
    """One member's step that halts behind so many words, at the first token of the next.

    Attributes:
        breaks: as of `word_breaks`.
        longest: tokens after which a word is cut.
    """

    breaks: bytes
    longest: int

    def __call__(
        self,
        words: jax.Array,
        carry: tuple[jax.Array, jax.Array],
        keys: jax.Array,
        logits: jax.Array,
        aux: Aux,
    ) -> tuple[tuple[jax.Array, jax.Array], Choice]:
        """words i32[B]; carry: (tokens of the present word, words before it); f32[1, B, V]."""
        length, done = carry
        token = aux.draw(keys, logits[0])
        new = (aux.step > 0) & (breaking(self.breaks, token) | (length >= self.longest))
        carry = jnp.where(new, 1, length + 1), done + new
        return carry, Choice(logits=logits[0], token=token, stop=carry[1] >= words)


def some_words(tokenizer: Any, longest: int) -> Combine:
    """The policy that stops a member behind i32[B] words, its theta; see `SomeWords`."""
    return Combine(SomeWords(word_breaks(tokenizer), longest), _none, name="some words")


def _none(words: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jnp.zeros_like(words), jnp.zeros_like(words)
