"""One tensor of several checkpoints, read piece by piece while the piece before is computed."""

import concurrent.futures
import dataclasses
import math
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import ml_dtypes
import numpy as np

from moco_jax.models.safetensors_io import Tensor
from moco_jax.trees.draws import BLOCK

PIECE = 1 << 20
"""Elements per checkpoint and piece."""

_SMALLEST = 1 << 12
_ALIGNMENT = 64
_BUFFERS = 3
"""One is computed, one is read, and one waits to be written."""


@dataclasses.dataclass(frozen=True)
class Piece:
    """Consecutive elements of one tensor.

    Attributes:
        start: the first of them.
        count: how many there are.
        values: [M, S] of all checkpoints in their common dtype, zero beyond `count`.
    """

    start: int
    count: int
    values: np.ndarray


class Files:
    """Open files, and the buffers they are read into; a context manager closes the files."""

    def __init__(self, paths: Iterable[pathlib.Path]) -> None:
        self._open = {path: os.open(path, os.O_RDONLY) for path in dict.fromkeys(paths)}
        self._buffers: dict[tuple[int, int, np.dtype], list[np.ndarray]] = {}

    def __enter__(self) -> "Files":
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)

    def buffers(self, rows: int, length: int, dtype: np.dtype) -> list[np.ndarray]:
        """The same few arrays [rows, length] for every tensor: fresh memory is slow to touch."""
        asked = rows, length, dtype
        if asked not in self._buffers:
            self._buffers[asked] = [_aligned((rows, length), dtype) for _ in range(_BUFFERS)]
        return self._buffers[asked]

    def read(self, tensor: Tensor, start: int, out: np.ndarray) -> None:
        """Fills `out`, of the tensor's dtype, with its elements from `start` on."""
        descriptor = self._open[tensor.file]
        rest = out.view(np.uint8).data
        place = tensor.begin + start * tensor.dtype.itemsize
        while len(rest):
            done = os.preadv(descriptor, [rest], place)
            if not done:
                raise ValueError(f"{tensor.file} was cut short while it was read; copy it again")
            rest, place = rest[done:], place + done


@dataclasses.dataclass(frozen=True)
class Stack:
    """One tensor of M checkpoints of one shape.

    Attributes:
        files: where they are read from.
        tensors: one per checkpoint.
    """

    files: Files
    tensors: tuple[Tensor, ...]

    @property
    def size(self) -> int:
        """Elements of a tensor."""
        return math.prod(self.tensors[0].shape)

    @property
    def columns(self) -> int:
        """Elements of a row: of the last axis."""
        return self.tensors[0].shape[-1] if self.tensors[0].shape else 1

    @property
    def dtype(self) -> np.dtype:
        """The common dtype on disk, or float32 where there is none."""
        types = {tensor.dtype for tensor in self.tensors}
        return types.pop() if len(types) == 1 else np.dtype(np.float32)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Elements of all checkpoints, f32[M, stop - start]."""
        out = np.empty((len(self.tensors), stop - start), np.float32)
        self._fill(start, out)
        return out

    def pieces(self, whole_rows: bool) -> Iterator[Piece]:
        """All elements in order; a piece's values hold until the second piece after it.

        Args:
            whole_rows: a piece is whole rows.
        """
        length = self._length(whole_rows)
        buffers = self.files.buffers(len(self.tensors), length, self.dtype)

        def load(index: int) -> Piece:
            start = index * length
            count = min(length, self.size - start)
            values = buffers[index % _BUFFERS]
            self._fill(start, values[:, :count])
            values[:, count:] = 0
            return Piece(start, count, values)

        return _ahead(load, -(-self.size // length))

    def _length(self, whole_rows: bool) -> int:
        """Elements of a piece: few different ones, and multiples of the blocks of draws."""
        if whole_rows:
            step = self.columns * (BLOCK // math.gcd(BLOCK, self.columns))
            wanted = max(1, PIECE // step) * step
            return min(wanted, -(-self.size // self.columns) * self.columns)
        length = _SMALLEST
        while length < min(self.size, PIECE):
            length *= 4
        return length

    def _fill(self, start: int, out: np.ndarray) -> None:
        for tensor, row in zip(self.tensors, out, strict=True):
            if tensor.dtype == row.dtype:
                self.files.read(tensor, start, row)
            else:
                narrow = np.empty(len(row), tensor.dtype)
                self.files.read(tensor, start, narrow)
                row[:] = widened(narrow)


def widened(values: np.ndarray) -> np.ndarray:
    """As float32."""
    if values.dtype == ml_dtypes.bfloat16:
        # A bfloat16 is the upper half of a float32; numpy's cast goes element by element
        return (values.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32)


def _aligned(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """An array that JAX on CPU reads where it lies."""
    size = math.prod(shape) * dtype.itemsize
    raw = np.empty(size + _ALIGNMENT, np.uint8)
    offset = -raw.ctypes.data % _ALIGNMENT
    return raw[offset : offset + size].view(dtype).reshape(shape)


def _ahead(load: Callable[[int], Piece], count: int) -> Iterator[Piece]:
    """`load(0), load(1), ...`, each called while the one before is in use."""
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        coming = thread.submit(load, 0)
        for index in range(count):
            piece = coming.result()
            if index + 1 < count:
                coming = thread.submit(load, index + 1)
            yield piece
