"""Hugging Face checkpoints in and out, one tensor at a time."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from absl import logging

from moco_jax.models import checkpoint_files, safetensors_io
from moco_jax.models.checkpoint_files import PathLike
from moco_jax.models.config import ModelConfig, text_config
from moco_jax.models.decoder import Params, set_leaf
from moco_jax.models.families import FAMILIES, Path, TensorSpec, tensor_table, text_name

_SHOWN = 5
_TABLE, _HEAD = "model.embed_tokens.weight", "lm_head.weight"


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A loaded model.

    Attributes:
        config: what it is.
        params: nested dict, one leaf per tensor on disk, of its shape.
        raw_config: config.json as it stood (the text part of a multimodal one), for saving.
        path: where it came from, "" if it was made here.
        generation_config: generation_config.json, empty if there is none.
    """

    config: ModelConfig
    params: Params = dataclasses.field(repr=False)
    raw_config: dict[str, Any] = dataclasses.field(repr=False)
    path: str = ""
    generation_config: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False)


@dataclasses.dataclass(frozen=True)
class CheckpointReader:
    """A checkpoint whose config and tensor table are checked and whose tensors are still on disk.

    Attributes:
        config: what it is.
        raw_config: config.json, as in `Checkpoint`; untied where the files are.
        generation_config: as in `Checkpoint`.
        directory: where the files are.
        tensors: where each leaf lies, by its path; in the order of `tensor_table`.
    """

    config: ModelConfig
    raw_config: dict[str, Any]
    generation_config: dict[str, Any]
    directory: pathlib.Path
    tensors: dict[Path, safetensors_io.Tensor]

    def dtype(self, path: Path) -> np.dtype:
        """The dtype of a leaf on disk."""
        return self.tensors[path].dtype

    def read(self, path: Path, dtype: Any = None) -> np.ndarray:
        """One leaf, in `dtype` or as on disk."""
        tensor = self.tensors[path]
        target = np.dtype(tensor.dtype if dtype is None else dtype)
        return safetensors_io.read_tensor(tensor, False, target)


def open_checkpoint(path_or_hub_id: PathLike) -> CheckpointReader:
    """Checks a checkpoint's config and its tensors' names, shapes and types.

    No tensor is read, but where the config ties embedding and output layer and the files hold
    both: the two are compared, and a tied model is one in which they are equal.

    Raises:
        ValueError: it is not a checkpoint we can load; the message names the file or tensor, what
            was expected and found, and the remedy.
    """
    # The config is small: what it rules out is not downloaded
    directory = checkpoint_files.fetch(path_or_hub_id, weights=False)
    raw = checkpoint_files.read_raw_config(directory)
    try:
        config = ModelConfig.from_hf(raw)
    except ValueError as error:
        raise ValueError(f"cannot load {path_or_hub_id}: {error}") from error
    directory = checkpoint_files.fetch(path_or_hub_id)
    found = safetensors_io.read_headers(checkpoint_files.weight_files(directory))
    if raw.get("model_type") == "gemma3":
        texts = {text_name(name): tensor for name, tensor in found.items()}
        found = {name: tensor for name, tensor in texts.items() if name is not None}
    raw = text_config(raw)
    if config.tie_embeddings and not config.num_labels and not _tied(found, directory):
        config = dataclasses.replace(config, tie_embeddings=False)
        raw = {**raw, "tie_word_embeddings": False}
    tensors = _match(config, found, directory)
    generation = directory / "generation_config.json"
    return CheckpointReader(
        config=config,
        raw_config=raw,
        generation_config=checkpoint_files.read_json(generation) if generation.is_file() else {},
        directory=directory,
        tensors=tensors,
    )


def _tied(found: dict[str, safetensors_io.Tensor], directory: pathlib.Path) -> bool:
    """Whether a checkpoint whose config ties its embeddings has one tensor for both ends.

    As in transformers 5, an output layer of its own that stands in the files is used where its
    values are not those of the embedding, whatever the config says; and where it stands alone, it
    is the embedding too.
    """
    table, head = found.get(_TABLE), found.get(_HEAD)
    if head is None or head.type_name not in safetensors_io.DTYPES:
        return True
    if table is None:
        found[_TABLE] = head
        return True
    if safetensors_io.same_values(table, head):
        return True
    logging.info("%s has an output layer of its own, though its config ties them", directory)
    return False


def _match(
    config: ModelConfig, found: dict[str, safetensors_io.Tensor], directory: pathlib.Path
) -> dict[Path, safetensors_io.Tensor]:
    """Pairs every parameter with its tensor, or raises with all that does not fit."""
    table = tensor_table(config)
    names = {spec.name for spec in table}
    missing = [f"{s.name} {list(s.shape)}" for s in table if s.name not in found]
    extra = [
        f"{t.name} {list(t.shape)}"
        for n, t in found.items()
        if n not in names and not _spare(n, config)
    ]
    misshapen = [
        f"{s.name}: expected {list(s.shape)}, found {list(found[s.name].shape)}"
        for s in table
        if s.name in found and found[s.name].shape != s.shape
    ]
    untyped = [
        f"{s.name}: {found[s.name].type_name}"
        for s in table
        if s.name in found and found[s.name].type_name not in safetensors_io.DTYPES
    ]
    problems = {
        "missing tensors": missing,
        "unexpected tensors": extra,
        "tensors of the wrong shape": misshapen,
        f"tensors of a type other than {', '.join(safetensors_io.DTYPES)} (quantized?)": untyped,
    }
    lines = [f"{what}: {_some(which)}" for what, which in problems.items() if which]
    if lines:
        hint = "The tensors must be those that config.json describes; check that the two belong "
        hint += "together and that the download is complete."
        if any(line.startswith("lm_head.weight") for line in missing):
            hint += " If the model ties its embeddings, config.json must say tie_word_embeddings."
        raise ValueError(
            f"{directory} is no valid {config.family} checkpoint. " + "; ".join(lines) + f". {hint}"
        )
    return {spec.path: found[spec.name] for spec in table}


def _some(items: list[str]) -> str:
    rest = len(items) - _SHOWN
    return ", ".join(items[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _spare(name: str, config: ModelConfig) -> bool:
    """Whether a tensor we do not use may be there: a tied copy, or a saved rotary buffer."""
    unused_head = config.tie_embeddings or config.num_labels
    return name.endswith("rotary_emb.inv_freq") or (name == "lm_head.weight" and bool(unused_head))


def load_checkpoint(path_or_hub_id: PathLike, dtype: Any = None) -> Checkpoint:
    """Loads a Hugging Face checkpoint onto the default device, one tensor at a time.

    Args:
        path_or_hub_id: a directory with config.json and safetensors, or a hub id.
        dtype: of the params; None leaves each tensor as it is on disk.

    Raises:
        ValueError: as `open_checkpoint`.
    """
    reader = open_checkpoint(path_or_hub_id)
    params: Params = {}
    for path in reader.tensors:
        # Waiting for each transfer keeps no more than one tensor on the host
        set_leaf(params, path, jax.device_put(reader.read(path, dtype)).block_until_ready())
    logging.info("loaded %s (%s) from %s", reader.config.family, dtype, reader.directory)
    return Checkpoint(
        reader.config,
        params,
        reader.raw_config,
        os.fspath(path_or_hub_id),
        reader.generation_config,
    )


def save_checkpoint(
    directory: PathLike,
    checkpoint: Checkpoint,
    tokenizer: Any = None,
    dtype: Any = None,
    max_shard_bytes: int = 5 * 10**9,
) -> None:
    """Writes a directory that transformers and vLLM load; the tensors are bit-exact.

    Args:
        directory: appears whole or not at all; a checkpoint that was there is replaced.
        checkpoint: config, params and raw config.
        tokenizer: a transformers tokenizer, or a directory whose tokenizer files are copied.
        dtype: cast to it; None leaves every leaf as it is.
        max_shard_bytes: larger models are cut into several files.

    Raises:
        ValueError: the params are not those of the config, or `directory` holds something else.
    """

    table = tensor_table(ModelConfig.from_hf(checkpoint.raw_config))
    leaves = len(jax.tree.leaves(checkpoint.params))
    if leaves > len(table):
        raise ValueError(
            f"params have {leaves} leaves, the config {len(table)} tensors; check that the two "
            "belong together (tied embeddings have no lm_head leaf)."
        )

    def read(spec: TensorSpec) -> np.ndarray:
        return np.asarray(_leaf(checkpoint.params, spec))

    def type_of(spec: TensorSpec) -> np.dtype:
        return np.dtype(_leaf(checkpoint.params, spec).dtype if dtype is None else dtype)

    write_checkpoint(
        directory,
        checkpoint.raw_config,
        read,
        type_of,
        generation_config=checkpoint.generation_config,
        tokenizer=tokenizer,
        max_shard_bytes=max_shard_bytes,
    )


def write_checkpoint(
    directory: PathLike,
    raw_config: dict[str, Any],
    read: Callable[[TensorSpec], np.ndarray],
    type_of: Callable[[TensorSpec], np.dtype],
    *,
    generation_config: dict[str, Any] | None = None,
    tokenizer: Any = None,
    max_shard_bytes: int = 5 * 10**9,
) -> None:
    """Writes a checkpoint whose leaves are made only when their turn comes.

    Args:
        directory: as in `save_checkpoint`.
        raw_config: config.json of the model.
        read: gives a leaf.
        type_of: its dtype on disk.
        generation_config: written if not empty.
        tokenizer: as in `save_checkpoint`.
        max_shard_bytes: as in `save_checkpoint`.
    """
    table = tensor_table(ModelConfig.from_hf(raw_config))
    write_planned(
        directory,
        raw_config,
        [_plan(spec, read, type_of) for spec in table],
        generation_config=generation_config,
        tokenizer=tokenizer,
        max_shard_bytes=max_shard_bytes,
    )


def write_planned(
    directory: PathLike,
    raw_config: dict[str, Any],
    planned: Sequence[safetensors_io.Planned],
    *,
    generation_config: dict[str, Any] | None = None,
    tokenizer: Any = None,
    max_shard_bytes: int = 5 * 10**9,
) -> None:
    """Writes a checkpoint from tensors as they stand on disk, asked for one after the other.

    Args:
        directory: as in `save_checkpoint`.
        raw_config: config.json of the model.
        planned: one per tensor of the model.
        generation_config: written if not empty.
        tokenizer: as in `save_checkpoint`.
        max_shard_bytes: as in `save_checkpoint`.
    """
    stem = FAMILIES[ModelConfig.from_hf(raw_config).family].stem
    raw = {"architectures": [f"{stem}ForCausalLM"], **raw_config}
    types = {tensor.dtype.name for tensor in planned}
    if len(types) == 1:
        raw["torch_dtype" if "torch_dtype" in raw else "dtype"] = types.pop()
    with _fresh_directory(pathlib.Path(directory)) as folder:
        _write_json(folder / "config.json", raw)
        if generation_config:
            _write_json(folder / "generation_config.json", generation_config)
        _write_tokenizer(folder, tokenizer)
        safetensors_io.write_tensors(folder, planned, max_shard_bytes)


def _plan(
    spec: TensorSpec,
    read: Callable[[TensorSpec], np.ndarray],
    type_of: Callable[[TensorSpec], np.dtype],
) -> safetensors_io.Planned:
    def on_disk() -> np.ndarray:
        return np.asarray(read(spec))

    return safetensors_io.Planned(spec.name, spec.shape, np.dtype(type_of(spec)), on_disk)


def _leaf(params: Params, spec: TensorSpec) -> Any:
    node: Any = params
    for name in spec.path:
        if not isinstance(node, dict) or name not in node:
            raise ValueError(
                f"params have no leaf {'/'.join(spec.path)}, which the config needs for "
                f"{spec.name}; check that params and config belong together."
            )
        node = node[name]
    return node


def _write_json(file: pathlib.Path, value: dict[str, Any]) -> None:
    file.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def _write_tokenizer(folder: pathlib.Path, tokenizer: Any) -> None:
    if tokenizer is None:
        return
    if not isinstance(tokenizer, str | os.PathLike):
        tokenizer.save_pretrained(folder)
        return
    files = [pathlib.Path(tokenizer) / name for name in checkpoint_files.TEXT_FILES]
    files = [file for file in files if file.is_file()]
    if not files:
        raise ValueError(f"{tokenizer} has no tokenizer files; point at a checkpoint's directory.")
    for file in files:
        shutil.copy(file, folder / file.name)


@contextlib.contextmanager
def _fresh_directory(target: pathlib.Path) -> Iterator[pathlib.Path]:
    """A directory beside `target` that takes its place if the block ends well, else vanishes."""
    occupied = target.exists() and (not target.is_dir() or any(target.iterdir()))
    if occupied and not (target / "config.json").is_file():
        raise ValueError(f"{target} exists and is no checkpoint; choose another directory.")
    target.parent.mkdir(parents=True, exist_ok=True)
    mark = uuid.uuid4().hex
    folder = target.with_name(f".{target.name}.{mark}.new")
    folder.mkdir()
    try:
        yield folder
        if target.exists():
            old = target.with_name(f".{target.name}.{mark}.old")
            target.rename(old)
            folder.rename(target)
            shutil.rmtree(old)
        else:
            folder.rename(target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
