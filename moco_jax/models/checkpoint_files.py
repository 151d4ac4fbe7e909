"""Finding the files of a checkpoint, on disk or on the hub, and refusing what is not one."""

import json
import os
import pathlib
from typing import Any

PathLike = str | os.PathLike[str]

TEXT_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "chat_template.json",
)
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
SUPPORTED = "supported are safetensors checkpoints of f32, bf16 or f16 weights"


def fetch(path_or_hub_id: PathLike, weights: bool = True) -> pathlib.Path:
    """The directory of a checkpoint; a hub id is downloaded (or found in the hub's cache) first.

    Args:
        path_or_hub_id: an existing directory, or an id such as "org/name" or "org/name@revision".
        weights: also fetch the tensors, not only config and tokenizer files.

    Raises:
        ValueError: it is a file, does not exist, or cannot be downloaded.
    """
    path = pathlib.Path(path_or_hub_id).expanduser()
    if path.is_dir():
        return path
    if path.is_file() or path.suffix == ".gguf":
        raise ValueError(
            f"{path} is a {path.suffix or 'plain'} file; {SUPPORTED}, in a directory with a "
            "config.json. Point at that directory, or use the unquantized original."
        )
    text = os.fspath(path_or_hub_id)
    if text.startswith((".", "/", "~")) or text.count("/") > 1:
        raise ValueError(f"there is no directory {path}; check the path.")
    return _download(text, weights)


def files_state(path_or_hub_id: PathLike) -> list[list[Any]]:
    """Path, size and time of change (ns) of every file in the directory of a checkpoint."""
    files = sorted(file for file in fetch(path_or_hub_id).iterdir() if file.is_file())
    return [[str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns] for file in files]


def _download(hub_id: str, weights: bool) -> pathlib.Path:
    import huggingface_hub
    from huggingface_hub import errors

    repository, _, revision = hub_id.partition("@")
    patterns = ["*.json", "*.jinja", "*.model", "*.txt", *(["*.safetensors"] * weights)]
    try:
        found = huggingface_hub.snapshot_download(
            repository, revision=revision or None, allow_patterns=patterns
        )
    except (OSError, errors.HfHubHTTPError, errors.HFValidationError) as error:
        raise ValueError(
            f"{hub_id!r} is neither a directory here nor a hub repository that could be fetched "
            f"({type(error).__name__}: {error}). Check the name, the network and, for gated "
            "repositories, `hf auth login`; or download it and give its path."
        ) from error
    return pathlib.Path(found)


def read_json(file: pathlib.Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ValueError: the file is no JSON object.
    """
    try:
        value = json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file} is not valid JSON ({error}); restore it.") from error
    if not isinstance(value, dict):
        raise ValueError(f"{file} holds no JSON object; restore it.")
    return value


def read_raw_config(directory: pathlib.Path) -> dict[str, Any]:
    """The parsed config.json of a checkpoint directory.

    Raises:
        ValueError: there is none; an adapter and a GGUF directory are named as such.
    """
    if (directory / "config.json").is_file():
        return read_json(directory / "config.json")
    if (directory / "adapter_config.json").is_file():
        raise ValueError(
            f"{directory} holds a LoRA adapter, not a whole model; load it with load_adapter on "
            "top of its base."
        )
    gguf = sorted(directory.glob("*.gguf"))
    if gguf:
        raise ValueError(
            f"{gguf[0]} is a GGUF file, which is not supported; {SUPPORTED}. Use the original."
        )
    raise ValueError(f"{directory} has no config.json; point at a Hugging Face checkpoint.")


def weight_files(directory: pathlib.Path) -> list[pathlib.Path]:
    """The safetensors files of a checkpoint, by its index if it has one.

    Raises:
        ValueError: there are none (a pickle checkpoint is named), or the index names a file that
            is missing.
    """
    index = directory / "model.safetensors.index.json"
    if index.is_file():
        names = sorted(set(read_json(index).get("weight_map", {}).values()))
        outside = [name for name in names if pathlib.PurePath(name).name != name]
        missing = [name for name in names if not (directory / name).is_file()]
        if outside or missing or not names:
            raise ValueError(
                f"{index} names files that are not in {directory}: "
                f"{', '.join(outside or missing) or 'none at all'}; download the checkpoint again."
            )
        return [directory / name for name in names]
    if (directory / "model.safetensors").is_file():
        return [directory / "model.safetensors"]
    found = [f for pattern in _PICKLES for f in sorted(directory.glob(pattern))]
    if found:
        raise ValueError(
            f"{found[0]} is a pickle checkpoint, which can run code when read; {SUPPORTED}. "
            "Convert it where you trust it: AutoModelForCausalLM.from_pretrained(...) and "
            "save_pretrained(..., safe_serialization=True) of transformers."
        )
    raise ValueError(
        f"{directory} has neither model.safetensors nor model.safetensors.index.json; {SUPPORTED}."
        " If the repository has only pickle or GGUF files, use a safetensors version of it."
    )
