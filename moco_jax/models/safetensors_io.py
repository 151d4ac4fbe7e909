"""Reading and writing safetensors files one tensor at a time.

The format is eight bytes of header length, a JSON header and the raw little-endian tensors. Files
are mapped, not read, so no more than one tensor is ever copied into host memory.
"""

import dataclasses
import json
import mmap
import pathlib
import struct
from collections.abc import Callable, Iterable, Sequence

import ml_dtypes
import numpy as np

DTYPES = {
    "F32": np.dtype(np.float32),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F16": np.dtype(np.float16),
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
# Buffers at this alignment can become device buffers on CPU without a copy
_ALIGNMENT = 64
# Elements that are compared at once
_PIECE = 1 << 20


@dataclasses.dataclass(frozen=True)
class Tensor:
    """Where one tensor lies: its file, shape, type as the header spells it, and bytes."""

    name: str
    file: pathlib.Path
    shape: tuple[int, ...]
    type_name: str
    begin: int
    end: int

    @property
    def dtype(self) -> np.dtype:
        """The numpy dtype; only for the types in `DTYPES`."""
        return DTYPES[self.type_name]


def read_headers(files: Iterable[pathlib.Path]) -> dict[str, Tensor]:
    """The tensors of all files by name, from the headers alone.

    Raises:
        ValueError: a file is not safetensors, is cut short, or repeats a tensor.
    """
    tensors: dict[str, Tensor] = {}
    for file in files:
        for tensor in _read_header(file):
            if tensor.name in tensors:
                raise ValueError(
                    f"tensor {tensor.name} stands in both {tensors[tensor.name].file} and {file}; "
                    "remove the file that does not belong to this checkpoint."
                )
            tensors[tensor.name] = tensor
    return tensors


def _read_header(file: pathlib.Path) -> list[Tensor]:
    size = file.stat().st_size
    remedy = "download or copy the file again."
    with file.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length + 8 > size:
            raise ValueError(f"{file} is not a safetensors file, or was cut short; {remedy}")
        try:
            header = json.loads(stream.read(length))
        except ValueError as error:
            raise ValueError(f"{file} has an unreadable safetensors header; {remedy}") from error
    header.pop("__metadata__", None)
    base = 8 + length
    tensors = [
        Tensor(name, file, tuple(entry["shape"]), entry["dtype"], *_span(base, entry))
        for name, entry in header.items()
    ]
    end = max((tensor.end for tensor in tensors), default=base)
    if end > size:
        raise ValueError(f"{file} was cut short: {size} bytes of {end}; {remedy}")
    return tensors


def _span(base: int, entry: dict) -> tuple[int, int]:
    begin, end = entry["data_offsets"]
    return base + begin, base + end


def read_tensor(tensor: Tensor, transpose: bool, dtype: np.dtype) -> np.ndarray:
    """A fresh, aligned copy of a tensor: the only host memory taken.

    Args:
        tensor: from `read_headers`.
        transpose: swap the two axes.
        dtype: of the result.
    """
    view = _mapped(tensor)
    view = view.T if transpose else view
    out = _aligned(view.shape, np.dtype(dtype))
    np.copyto(out, view, casting="unsafe")
    return out


def same_values(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same numbers, whatever their types; read piece by piece."""
    if one.shape != other.shape:
        return False
    first, second = (_mapped(tensor).reshape(-1) for tensor in (one, other))

    def same(piece: slice) -> bool:
        return np.array_equal(first[piece].astype(np.float32), second[piece].astype(np.float32))

    return all(same(slice(start, start + _PIECE)) for start in range(0, len(first), _PIECE))


def _mapped(tensor: Tensor) -> np.ndarray:
    count = (tensor.end - tensor.begin) // tensor.dtype.itemsize
    with tensor.file.open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, tensor.dtype, count, tensor.begin).reshape(tensor.shape)


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.empty(size + _ALIGNMENT, np.uint8)
    offset = -raw.ctypes.data % _ALIGNMENT
    return raw[offset : offset + size].view(dtype).reshape(shape)


@dataclasses.dataclass(frozen=True)
class Planned:
    """A tensor to be written: name, shape and dtype on disk, and how to get it in its turn.

    `read` gives it whole, or as consecutive flat pieces.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray | Iterable[np.ndarray]]

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return int(np.prod(self.shape)) * self.dtype.itemsize


def write_tensors(
    directory: pathlib.Path, tensors: Sequence[Planned], max_shard_bytes: int
) -> None:
    """Writes `model.safetensors`, or shards and their index if they exceed `max_shard_bytes`."""
    shards: list[list[Planned]] = [[]]
    for tensor in tensors:
        if shards[-1] and sum(t.size for t in shards[-1]) + tensor.size > max_shard_bytes:
            shards.append([])
        shards[-1].append(tensor)
    if len(shards) == 1:
        return _write_file(directory / "model.safetensors", shards[0])
    places: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        _write_file(directory / name, shard)
        places |= {tensor.name: name for tensor in shard}
    total = sum(tensor.size for tensor in tensors)
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    return None


def _write_file(file: pathlib.Path, tensors: Sequence[Planned]) -> None:
    """One safetensors file; the tensors are asked for one after the other."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for tensor in tensors:
        header[tensor.name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + tensor.size],
        }
        offset += tensor.size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)))
        stream.write(text)
        for tensor in tensors:
            value = tensor.read()
            if isinstance(value, np.ndarray) and value.shape != tensor.shape:
                raise ValueError(
                    f"{tensor.name} is {value.shape}, the checkpoint needs {tensor.shape}; check "
                    "that the params belong to this config."
                )
            written = 0
            for piece in [value] if isinstance(value, np.ndarray) else value:
                piece = np.ascontiguousarray(piece, dtype=tensor.dtype)
                written += stream.write(piece.reshape(-1).view(np.uint8).data)
            if written != tensor.size:
                raise ValueError(f"{tensor.name} came as {written} bytes of {tensor.size}")
