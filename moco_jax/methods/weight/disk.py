"""Merging checkpoints from disk to disk, in the memory of a few pieces of tensors."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from moco_jax.methods.weight.lineage import differing, parallel
from moco_jax.methods.weight.pieces import Files, Piece, Stack
from moco_jax.models.checkpoint import CheckpointReader, open_checkpoint, write_planned
from moco_jax.models.checkpoint_files import TEXT_FILES, PathLike
from moco_jax.models.config import shape_mismatch
from moco_jax.models.families import Path, disk_name
from moco_jax.models.safetensors_io import Planned
from moco_jax.trees import Layerwise, Merge, TiledMerge, leaf_key, merge_leaf
from moco_jax.trees.angles import task_vector_products
from moco_jax.trees.draws import BLOCK
from moco_jax.trees.merge import compiled
from moco_jax.trees.ranks import largest_magnitudes
from moco_jax.trees.tiled import Measured, inner_products, ratio

HEAD: Path = ("lm_head", "kernel")


def merge_checkpoints(
    sources: Sequence[PathLike],
    base: PathLike | None,
    merge: Merge | Layerwise,
    out: PathLike,
    *,
    dtype: Any = None,
    seed: int = 0,
    max_shard_bytes: int = 5 * 10**9,
) -> list[str]:
    """Merges checkpoints into one that `transformers` and vLLM load.

    A `TiledMerge` holds a few pieces of a tensor at a time; any other function one tensor of every
    checkpoint. Both give what `merge_trees` gives in memory, up to the order of float32 sums. Tied
    tensors are merged once; where the result equals a source, it does so to the bit.

    Args:
        sources: directories or hub ids of N checkpoints of one architecture. Config, generation
            config and tokenizer are those of the first.
        base: of task vectors, likewise; None passes None.
        merge: see `trees.Merge`.
        out: directory that appears whole or not at all.
        dtype: of the result; None takes the first source's, tensor by tensor.
        seed: of random masks.
        max_shard_bytes: larger models are cut into several files.

    Returns:
        What is to be said of the sources: settings in which they differ, and a base they were
        probably not tuned from. It is logged, too.

    Raises:
        ValueError: a checkpoint cannot be loaded, or its architecture is not the first one's.
    """
    named = [*sources] if base is None else [*sources, base]
    if not sources:
        raise ValueError("there are no checkpoints to merge; name at least one")
    readers = [open_checkpoint(name) for name in named]
    _check_architecture(named, readers)
    if any(HEAD in reader.tensors for reader in readers):
        readers = [_untied(reader) for reader in readers]
    first = readers[0]
    said = differing(list(map(str, named)), [reader.config for reader in readers])
    products = None if base is None else np.zeros((len(sources), len(sources)))
    has_text = any((first.directory / name).is_file() for name in TEXT_FILES)
    key = jax.random.key(seed)
    with Files(t.file for reader in readers for t in reader.tensors.values()) as files:

        def planned(path: Path) -> Planned:
            stack = Stack(files, tuple(reader.tensors[path] for reader in readers))
            target = np.dtype(first.dtype(path) if dtype is None else dtype)
            name, shape = disk_name(path), stack.tensors[0].shape
            task = _Task(merge, stack, products, "/".join(path), target, key)
            return Planned(name, shape, target, task.run)

        write_planned(
            out,
            first.raw_config,
            [planned(path) for path in first.tensors],
            generation_config=first.generation_config,
            tokenizer=first.directory if has_text else None,
            max_shard_bytes=max_shard_bytes,
        )
    said += [] if products is None else parallel(str(base), products)
    for text in said:
        logging.warning("%s", text)
    logging.info("merged %d checkpoints into %s", len(sources), out)
    return said


def _check_architecture(named: Sequence[PathLike], readers: Sequence[CheckpointReader]) -> None:
    for name, reader in zip(named[1:], readers[1:], strict=True):
        found = shape_mismatch(readers[0].config, reader.config)
        if found is not None:
            raise ValueError(
                f"cannot merge {name} with {named[0]}: {found.setting} is {found.theirs!r} in the "
                f"one and {found.ours!r} in the other.{found.remedy} Weights combine only within "
                "one architecture; routing, text and (with one vocabulary) logit methods take "
                "mixed pools."
            )


def _untied(reader: CheckpointReader) -> CheckpointReader:
    """The same checkpoint with an output layer of its own, which is the embedding."""
    if HEAD in reader.tensors:
        return reader
    return dataclasses.replace(
        reader,
        config=dataclasses.replace(reader.config, tie_embeddings=False),
        raw_config={**reader.raw_config, "tie_word_embeddings": False},
        tensors={**reader.tensors, HEAD: reader.tensors[("embed_tokens", "embedding")]},
    )


@dataclasses.dataclass(frozen=True)
class _Task:
    """The merge of one tensor, done when it is written.

    Over a base it adds the inner products of the tensor's task vectors to `products` f64[N, N].
    """

    merge: Merge | Layerwise
    stack: Stack
    products: np.ndarray | None
    path: str
    dtype: np.dtype
    key: jax.Array

    @property
    def has_base(self) -> bool:
        """Whether the last tensor of the stack is that of a base."""
        return self.products is not None

    def run(self) -> np.ndarray | Iterator[np.ndarray]:
        """The merged tensor as it stands on disk, whole or in flat pieces."""
        rule = self.merge.at(self.path) if isinstance(self.merge, Layerwise) else self.merge
        if isinstance(rule, TiledMerge):
            return self._in_pieces(rule)
        return self._whole(rule)

    def _whole(self, rule: Merge) -> np.ndarray:
        shape = self.stack.tensors[0].shape
        leaves = self.stack.read(0, self.stack.size).reshape(-1, *shape)
        *ours, last = leaves if self.has_base else [*leaves, None]
        if self.products is not None:
            self.products[...] += task_vector_products(list(ours), last)
        merged = np.asarray(merge_leaf(compiled(rule), ours, last, self.key, self.path))
        return merged.astype(self.dtype)

    def _in_pieces(self, rule: TiledMerge) -> Iterator[np.ndarray]:
        rule_key = leaf_key(self.key, self.path)
        known = self._measure(rule, rule_key)
        static = rule.unweighted()
        late: tuple[Piece, jax.Array] | None = None
        for piece in self.stack.pieces(rule.whole_rows):
            if self.products is not None:
                values = jnp.asarray(piece.values)
                self.products[...] += task_vector_products(list(values[:-1]), values[-1])
            begun = _combined(
                static, self._layout(rule), self.dtype, piece.values, known, rule_key, _block(piece)
            )
            # The one before is written while this one is computed
            if late is not None:
                yield np.asarray(late[1])[: late[0].count]
            late = piece, begun
        if late is not None:
            yield np.asarray(late[1])[: late[0].count]

    def _layout(self, rule: TiledMerge) -> tuple[bool, int | None]:
        return self.has_base, self.stack.columns if rule.whole_rows else None

    def _measure(self, rule: TiledMerge, key: jax.Array) -> Measured:
        """What the rule must know of the tensor; reads it as often as that takes."""
        if rule.origin == "base" and not self.has_base:
            raise ValueError(
                f"{type(rule).__name__} merges what models changed in a base; name the base"
            )
        count = len(self.stack.tensors) - self.has_base
        ranks = rule.ranks(self.stack.size)
        bounds = np.zeros((count, 0), np.float32)
        if ranks:
            bounds = largest_magnitudes(self._magnitudes(rule), self.stack.size, ranks)
        gram, layout, static = None, self._layout(rule), rule.unweighted()
        if rule.gram:
            products = np.zeros((count, count))
            for piece in self.stack.pieces(False):
                products += np.asarray(_gram(static, layout, piece.values), float)
            gram = jnp.asarray(products, jnp.float32)
        known = rule.known(count, gram, jnp.asarray(bounds))
        if rule.needs_sums:
            total = np.zeros((2, count))
            for piece in self.stack.pieces(rule.whole_rows):
                total += np.asarray(
                    _sums(static, layout, piece.values, known, key, _block(piece)), float
                )
            known = known._replace(scales=ratio(*jnp.asarray(total, jnp.float32)))
        return known

    def _magnitudes(self, rule: TiledMerge) -> Any:
        def read(start: int, stop: int) -> np.ndarray:
            values = self.stack.read(start, stop)
            vectors = values[: len(values) - self.has_base]
            if rule.origin == "first":
                vectors = vectors - values[0]
            elif rule.origin == "base":
                np.subtract(vectors, values[-1], out=vectors)
            return np.abs(vectors, out=vectors)

        return read


def _block(piece: Piece) -> np.int32:
    return np.int32(piece.start // BLOCK)


def _opened(
    rule: TiledMerge, layout: tuple[bool, int | None], values: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """(vectors f32[N, R, C], origin) of a piece [M, S]."""
    has_base, columns = layout
    wide = values.astype(jnp.float32)
    wide = wide.reshape(len(wide), -1, columns or wide.shape[1])
    return rule.vectors(wide[:-1] if has_base else wide, wide[-1] if has_base else None)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _combined(
    rule: TiledMerge,
    layout: tuple[bool, int | None],
    dtype: np.dtype,
    values: jax.Array,
    known: Measured,
    key: jax.Array,
    start: jax.Array,
) -> jax.Array:
    vectors, origin = _opened(rule, layout, values)
    return (origin + rule.combine(vectors, known, key, start)).astype(dtype).reshape(-1)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _gram(rule: TiledMerge, layout: tuple[bool, int | None], values: jax.Array) -> jax.Array:
    vectors, _ = _opened(rule, layout, values)
    return inner_products(vectors.reshape(len(vectors), -1))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _sums(
    rule: TiledMerge,
    layout: tuple[bool, int | None],
    values: jax.Array,
    known: Measured,
    key: jax.Array,
    start: jax.Array,
) -> jax.Array:
    vectors, _ = _opened(rule, layout, values)
    return rule.sums(vectors, known, key, start)
