"""Texts in progress: rows of one member that can be extended, continued, scored, forked, rewound.

This is what look-ahead and turn-taking between members need: a row's text may grow by what others
wrote, and be taken back, without reading it again from the start.

What a row generates depends on what was done with that row, and on the number of rows, and on
nothing else: only rows that act are read up, and as in `schedule` a row begins in a small cache and
goes on in one a few times larger when it outgrows that.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from moco_jax.decoding import loop, reading, schedule
from moco_jax.decoding.buckets import length_bucket, power_bucket
from moco_jax.decoding.call import solo
from moco_jax.decoding.combine import FIRST, Combine
from moco_jax.decoding.groups import Weights, new_cache, take_rows
from moco_jax.decoding.keys import row_key
from moco_jax.decoding.prefill import read_blocks
from moco_jax.decoding.render import Speaker, check_ids
from moco_jax.decoding.sampling import Filters, Knobs
from moco_jax.decoding.source import source_digest
from moco_jax.decoding.types import Sampling
from moco_jax.models.decoder import KVCache

PyTree = Any
Tokens = Sequence[int] | np.ndarray

RESTED = schedule.Stream(
    np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, np.int32), loop.LENGTH
)
"""What a row generated that was asked for nothing."""


class Session:
    """Rows of text of one member, each with its own length, over one cache per capacity.

    Attributes:
        texts: i32[n] per row, the tokens so far.
    """

    def __init__(
        self,
        speaker: Speaker,
        texts: Sequence[Tokens],
        capacity: int,
        seed: int = 0,
        *,
        seeds: Sequence[Any] | None = None,
        longest: int | None = None,
        weights: Callable[[], Weights] | None = None,
    ):
        """Opens a session.

        Args:
            speaker: the member.
            texts: the rows' first tokens, at least one each.
            capacity: most tokens a row may come to hold.
            seed: of what is drawn; a row's draws depend on it and on the row's own text.
            seeds: one per row in place of `seed`; JSON values.
            longest: most tokens that one call of `generate` is asked for; a bound makes all calls
                share one program, and None takes what each call asks for.
            weights: gives the speaker's weights where the devices compute with them, before every
                program; None takes them as they are.
        """
        limit = speaker.config.max_positions
        if capacity > limit:
            raise ValueError(
                f"a session of {capacity} tokens exceeds the {limit} that {speaker.name} can read"
            )
        self._speaker = speaker
        self.texts = list(map(self._tokens, texts))
        if not self.texts or not all(len(text) for text in self.texts):
            raise ValueError("a session needs at least one row, and every row at least one token")
        self._capacity = capacity
        self._seeds = [seed] * len(texts) if seeds is None else list(seeds)
        self._longest = longest
        self._group, held = solo(speaker)
        self._weights = weights or (lambda: held)
        self._dtype = jax.tree.leaves(held.params)[0].dtype
        self._caches: dict[int, KVCache] = {}
        self._sizes = np.zeros(len(texts), np.int64)
        self._read = np.zeros(len(texts), np.int64)
        self._check_room([0] * len(texts))

    def append(self, tokens: Sequence[Tokens]) -> None:
        """Adds tokens to every row; a row's may be empty."""
        self._check_room([len(part) for part in tokens])
        self.texts = [
            np.concatenate([text, self._tokens(part)])
            for text, part in zip(self.texts, tokens, strict=True)
        ]

    def rewrite(self, row: int, text: Tokens) -> int:
        """Gives a row another text; what the two begin with alike is not read again.

        Args:
            row: the row.
            text: its new tokens, at least one.

        Returns:
            how many tokens of it are not in the cache yet, the last one included.
        """
        new, old = self._tokens(text), self.texts[row]
        if not 1 <= len(new) <= self._capacity:
            raise ValueError(
                f"row {row} cannot hold {len(new)} tokens; the session holds 1 to {self._capacity}"
            )
        both = min(len(new), len(old))
        differ = np.flatnonzero(new[:both] != old[:both])
        same = int(differ[0]) if len(differ) else both
        self.texts[row] = new
        self._read[row] = min(self._read[row], same, len(new) - 1)
        return len(new) - int(self._read[row])

    def generate(
        self,
        count: int | Sequence[int] | np.ndarray,
        sampling: Sampling,
        *,
        combine: Combine = FIRST,
        theta: PyTree = (),
    ) -> list[schedule.Stream]:
        """Continues every row by up to `count` tokens (one number, or one per row; 0 rests).

        The new tokens, an EOS included, become part of the texts.

        Args:
            count: most tokens.
            sampling: how they are drawn.
            combine: a policy over this one member, which may end a row early.
            theta: its settings; leaves lead with the row axis.
        """
        counts = np.broadcast_to(np.array(count, np.int32), len(self.texts))
        self._check_room(counts)
        acting = np.flatnonzero(counts)
        self._read_up(acting, counts)
        program = loop.Program(
            (self._group,),
            combine,
            Filters.of(sampling),
            self._speaker.config.vocab_size,
            source_digest(combine),
        )
        streams = [RESTED] * len(self.texts)
        for size in sorted(set(self._sizes[acting].tolist())):
            here = [int(row) for row in acting if self._sizes[row] == size]
            rows = self._rows(program, here, counts, theta)
            (self._caches[size],), rows = loop.decode(
                program,
                (self._weights(),),
                (self._caches[size],),
                rows,
                Knobs.of(sampling),
                jnp.array(self._speaker.eos or (-1,), jnp.int32),
                jnp.int32(rows.tokens.shape[1]),
                jnp.int32(len(self.texts)),
            )
            rows = jax.device_get(rows)
            for row in here:
                streams[row] = schedule.stream_of(rows, row)
                self.texts[row] = np.concatenate([self.texts[row], streams[row].tokens])
                self._read[row] = len(self.texts[row]) - 1
        return streams

    def score(self, continuations: Sequence[Tokens]) -> list[np.ndarray]:
        """f32[n] log-probability of every token of one continuation per row; changes no text.

        A row whose continuation is empty rests.
        """
        continuations = list(map(self._tokens, continuations))
        lengths = np.array([len(part) for part in continuations])
        self._check_room(lengths)
        acting = np.flatnonzero(lengths)
        self._read_up(acting, lengths)
        shapes: dict[tuple[int, int], list[int]] = {}
        for row in acting.tolist():
            shape = int(self._sizes[row]), power_bucket(int(lengths[row]) + 1)
            shapes.setdefault(shape, []).append(row)
        found = [np.zeros(0, np.float32)] * len(self.texts)
        for (capacity, size), rows in sorted(shapes.items()):
            tokens = np.zeros((len(self.texts), size), np.int32)
            positions = np.full((len(self.texts), size), -1, np.int32)
            for row in rows:
                fed = np.concatenate([self.texts[row][-1:], continuations[row]])
                tokens[row, : len(fed)] = fed
                positions[row, : len(fed)] = np.arange(len(fed)) + len(self.texts[row]) - 1
            cache = self._caches[capacity]
            values = loop.token_logprobs(self._group, self._weights(), tokens, positions, cache)
            values = np.asarray(values)
            for row in rows:
                found[row] = values[row, 1 : 1 + lengths[row]]
        return found

    def fork(self, rows: Sequence[int]) -> "Session":
        """A new session whose rows are copies of these rows; a row may be copied many times."""
        self._read_up(np.array(rows), np.zeros(len(self.texts), int))
        copy = object.__new__(Session)
        copy.__dict__.update(self.__dict__)
        index = np.array(rows, np.int32)
        copy.texts = [self.texts[row] for row in rows]
        copy._seeds = [self._seeds[row] for row in rows]
        copy._caches = {
            size: take_rows(self._group, cache, jnp.asarray(index))
            for size, cache in self._caches.items()
        }
        copy._sizes, copy._read = self._sizes[index], self._read[index]
        return copy

    def rewind(self, lengths: Sequence[int]) -> None:
        """Takes every row back to its first `lengths[row]` tokens (at least 1)."""
        for text, length in zip(self.texts, lengths, strict=True):
            if not 1 <= length <= len(text):
                raise ValueError(f"cannot rewind a row of {len(text)} tokens to {length}")
        self.texts = [text[:length] for text, length in zip(self.texts, lengths, strict=True)]
        self._read = np.minimum(self._read, np.array(lengths) - 1)

    def _rows(
        self, program: loop.Program, here: Sequence[int], counts: np.ndarray, theta: PyTree
    ) -> loop.Rows:
        """Host arrays in which the rows `here` run."""
        theta = jax.tree.map(np.asarray, theta)
        some = jax.tree.map(lambda leaf: leaf[0], theta)
        longest = length_bucket(self._longest or int(counts.max()))
        rows = dataclasses.replace(
            loop.empty_rows(program, len(self.texts), longest, some),
            theta=theta,
            carry=jax.tree.map(np.array, program.combine.init(theta)),
        )
        for row in here:
            text = self.texts[row]
            rows.last[0, row], rows.position[0, row] = text[-1], len(text) - 1
            rows.budget[row], rows.finish[row] = counts[row], loop.RUNNING
            rows.key[row] = row_key(self._seeds[row], self._speaker.draws, text)
            if rows.seen is not None:
                rows.seen[row, text] = True
        return rows

    def _read_up(self, rows: np.ndarray, more: np.ndarray) -> None:
        """Writes what the cache lacks; the last token of a row is fed when it is continued.

        Args:
            rows: that are about to act.
            more: per row of the session, tokens that are to follow.
        """
        self._make_room(rows, more)
        blocks: dict[int, list[reading.Block]] = {}
        for row in sorted(set(rows.tolist())):
            start, text = int(self._read[row]), self.texts[row]
            found = reading.blocks_of(row, start, text[start:-1])
            blocks.setdefault(int(self._sizes[row]), []).extend(found)
            self._read[row] = len(text) - 1
        owners = dict.fromkeys(range(len(self.texts)), 0)
        for size, parts in sorted(blocks.items()):
            cache = self._caches[size]
            self._caches[size] = read_blocks(self._group, self._weights(), cache, parts, owners)

    def _make_room(self, rows: np.ndarray, more: np.ndarray) -> None:
        """Moves rows that outgrow their cache into larger ones."""
        moves: dict[tuple[int, int], list[int]] = {}
        for row in sorted(set(rows.tolist())):
            size, need = int(self._sizes[row]), len(self.texts[row]) + int(more[row])
            if need > size:
                larger = self._size_for(need, size)
                if self._read[row]:
                    moves.setdefault((size, larger), []).append(row)
                self._sizes[row] = larger
        for size in set(self._sizes[rows].tolist()) - self._caches.keys():
            self._caches[size] = new_cache(self._group, len(self.texts), size, self._dtype)
        for (size, larger), moved in sorted(moves.items()):
            width = len(self.texts)
            sources, targets = np.zeros(width, np.int32), np.full(width, width, np.int32)
            sources[: len(moved)] = targets[: len(moved)] = moved
            self._caches[larger] = loop.move_rows(
                self._group, self._caches[size], self._caches[larger], sources, targets
            )
        for size in self._caches.keys() - set(self._sizes.tolist()):
            del self._caches[size]

    def _size_for(self, need: int, size: int) -> int:
        """Capacity of the cache for so many tokens of a row that has one of `size`, or none."""
        size = size or power_bucket(max(need, schedule.SMALLEST_STAGE))
        while size < need:
            size *= schedule.GROWTH
        return min(size, power_bucket(self._capacity))

    def _tokens(self, text: Tokens) -> np.ndarray:
        """Tokens i32[n], each of which has a row in the member's embedding."""
        tokens = np.array(text, np.int32)
        check_ids(self._speaker, tokens, "a text")
        return tokens

    def _check_room(self, added: Sequence[int] | np.ndarray) -> None:
        for row, (text, more) in enumerate(zip(self.texts, added, strict=True)):
            if len(text) + more > self._capacity:
                raise ValueError(
                    f"row {row} would grow to {len(text) + int(more)} tokens; the session holds "
                    f"{self._capacity}. Open it with a larger capacity."
                )
