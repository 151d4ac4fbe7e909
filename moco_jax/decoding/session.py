"""Texts in progress: rows of one member that can be extended, continued, scored, forked, rewound.

This is what look-ahead and turn-taking between members need: a row's text may grow by what others
wrote, and be taken back, without reading it again from the start.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from moco_jax.decoding import loop, reading, schedule
from moco_jax.decoding.buckets import length_bucket, power_bucket
from moco_jax.decoding.call import solo
from moco_jax.decoding.combine import FIRST
from moco_jax.decoding.groups import new_cache
from moco_jax.decoding.keys import row_key
from moco_jax.decoding.prefill import read_blocks
from moco_jax.decoding.render import Speaker
from moco_jax.decoding.sampling import Filters, Knobs
from moco_jax.decoding.types import Sampling
from moco_jax.models.decoder import KVCache

Tokens = Sequence[int] | np.ndarray


class Session:
    """Rows of text of one member, each with its own length, over one cache.

    Attributes:
        texts: i32[n] per row, the tokens so far.
    """

    def __init__(self, speaker: Speaker, texts: Sequence[Tokens], capacity: int, seed: int = 0):
        """Opens a session.

        Args:
            speaker: the member.
            texts: the rows' first tokens, at least one each.
            capacity: most tokens a row may come to hold.
            seed: of what is drawn; a row's draws depend on it and on the row's own text.
        """
        limit = speaker.config.max_positions
        if capacity > limit:
            raise ValueError(
                f"a session of {capacity} tokens exceeds the {limit} that {speaker.name} can read"
            )
        self.texts = [np.array(text, np.int32) for text in texts]
        if not self.texts or not all(len(text) for text in self.texts):
            raise ValueError("a session needs at least one row, and every row at least one token")
        self._speaker = speaker
        self._capacity = capacity
        self._seed = seed
        self._group, self._weights = solo(speaker)
        dtype = jax.tree.leaves(self._weights.params)[0].dtype
        slots = power_bucket(capacity)
        self._cache: KVCache = new_cache(self._group, len(texts), slots, dtype)
        self._read = np.zeros(len(texts), np.int64)
        self._check_room([0] * len(texts))

    def append(self, tokens: Sequence[Tokens]) -> None:
        """Adds tokens to every row; a row's may be empty."""
        self._check_room([len(part) for part in tokens])
        self.texts = [
            np.concatenate([text, np.array(part, np.int32)])
            for text, part in zip(self.texts, tokens, strict=True)
        ]

    def generate(self, count: int | Sequence[int], sampling: Sampling) -> list[schedule.Stream]:
        """Continues every row by up to `count` tokens (one number, or one per row; 0 rests).

        The new tokens, an EOS included, become part of the texts.
        """
        counts = np.broadcast_to(np.array(count, np.int32), len(self.texts))
        self._check_room(counts)
        self._read_up()
        program = loop.Program(
            (self._group,), FIRST, Filters.of(sampling), self._speaker.config.vocab_size
        )
        longest = length_bucket(max(int(counts.max()), 1))
        rows = loop.empty_rows(program, len(self.texts), longest, ())
        for row, text in enumerate(self.texts):
            rows.last[0, row], rows.position[0, row] = text[-1], len(text) - 1
            rows.budget[row] = counts[row]
            rows.finish[row] = loop.RUNNING if counts[row] else loop.LENGTH
            rows.key[row] = row_key(self._seed, self._speaker.identity, text)
            if rows.seen is not None:
                rows.seen[row, text] = True
        (self._cache,), rows = loop.decode(
            program,
            (self._weights,),
            (self._cache,),
            rows,
            Knobs.of(sampling),
            jnp.array(self._speaker.eos or (-1,), jnp.int32),
            jnp.int32(longest),
            jnp.int32(len(self.texts)),
        )
        streams = [schedule.stream_of(jax.device_get(rows), row) for row in range(len(self.texts))]
        self.texts = [
            np.concatenate([text, stream.tokens])
            for text, stream in zip(self.texts, streams, strict=True)
        ]
        self._read = np.array([len(text) - 1 for text in self.texts])
        return streams

    def score(self, continuations: Sequence[Tokens]) -> list[np.ndarray]:
        """f32[n] log-probability of every token of one continuation per row; changes no text."""
        self._check_room([len(part) for part in continuations])
        self._read_up()
        size = power_bucket(max(len(part) for part in continuations) + 1)
        tokens = np.zeros((len(self.texts), size), np.int32)
        positions = np.full((len(self.texts), size), -1, np.int32)
        for row, (text, part) in enumerate(zip(self.texts, continuations, strict=True)):
            fed = np.concatenate([text[-1:], np.array(part, np.int32)])
            tokens[row, : len(fed)] = fed
            positions[row, : len(fed)] = np.arange(len(text) - 1, len(text) - 1 + len(fed))
        found = loop.token_logprobs(self._group, self._weights, tokens, positions, self._cache)
        return [np.asarray(found[row, 1 : 1 + len(part)]) for row, part in enumerate(continuations)]

    def fork(self, rows: Sequence[int]) -> "Session":
        """A new session whose rows are copies of these rows; a row may be copied many times."""
        self._read_up()
        copy = object.__new__(Session)
        copy.__dict__.update(self.__dict__)
        index = np.array(rows, np.int32)
        copy.texts = [self.texts[row] for row in rows]
        copy._cache = jax.tree.map(lambda leaf: leaf[index], self._cache)
        copy._read = self._read[index]
        return copy

    def rewind(self, lengths: Sequence[int]) -> None:
        """Takes every row back to its first `lengths[row]` tokens (at least 1)."""
        for text, length in zip(self.texts, lengths, strict=True):
            if not 1 <= length <= len(text):
                raise ValueError(f"cannot rewind a row of {len(text)} tokens to {length}")
        self.texts = [text[:length] for text, length in zip(self.texts, lengths, strict=True)]
        self._read = np.minimum(self._read, np.array(lengths) - 1)

    def _read_up(self) -> None:
        """Writes what the cache lacks; the last token of a row is fed when it is continued."""
        blocks = [
            block
            for row, text in enumerate(self.texts)
            for block in reading.blocks_of(row, int(self._read[row]), text[self._read[row] : -1])
        ]
        owners = dict.fromkeys(range(len(self.texts)), 0)
        self._cache = read_blocks(self._group, self._weights, self._cache, blocks, owners)
        self._read = np.array([len(text) - 1 for text in self.texts])

    def _check_room(self, added: Sequence[int] | np.ndarray) -> None:
        for row, (text, more) in enumerate(zip(self.texts, added, strict=True)):
            if len(text) + more > self._capacity:
                raise ValueError(
                    f"row {row} would grow to {len(text) + int(more)} tokens; the session holds "
                    f"{self._capacity}. Open it with a larger capacity."
                )
