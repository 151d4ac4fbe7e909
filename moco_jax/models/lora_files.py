"""Reading LoRA adapters from PEFT's directories."""

import dataclasses
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from moco_jax.models import checkpoint_files, safetensors_io
from moco_jax.models.checkpoint_files import PathLike
from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import Params
from moco_jax.models.families import tensor_table
from moco_jax.models.lora import CONFIG_FILE, WEIGHTS_FILE, Adapter, check_shapes
from moco_jax.models.lora_config import (
    EMBEDDING,
    HEAD,
    LoraConfig,
    from_peft,
    module_name,
    parse_factor_name,
    refuse_variants,
)
from moco_jax.models.safetensors_io import Tensor


def is_adapter_dir(path: PathLike) -> bool:
    """Whether a directory holds an adapter rather than a whole model.

    Some trainers leave the config.json of the base beside an adapter, but no weights.
    """
    directory = pathlib.Path(path)
    if not (directory / CONFIG_FILE).is_file():
        return False
    whole = ("model*.safetensors", "model.safetensors.index.json", "pytorch_model*.bin")
    return not any(any(directory.glob(pattern)) for pattern in whole)


def adapter_base(directory: PathLike) -> str:
    """Path or hub id of the model an adapter was trained on, from its adapter_config.json.

    A path relative to the adapter's directory is preferred where it exists, so that the two can
    be moved together; then one relative to where we are. A hub id keeps the revision.

    Raises:
        ValueError: adapter_config.json names no base, or a relative path that does not exist.
    """
    directory = pathlib.Path(directory)
    raw = _read_config(directory)
    base = raw.get("base_model_name_or_path")
    if not base:
        raise ValueError(
            f"{directory / CONFIG_FILE} names no base model; set base_model_name_or_path to the "
            "path or hub id of the model it was trained on."
        )
    for place in (directory / base, pathlib.Path(base).expanduser()):
        if place.is_dir():
            return str(place.resolve())
    if base.startswith((".", "/", "~")):
        beside = (directory / pathlib.Path(base).expanduser()).resolve()
        raise ValueError(
            f"the base model {base!r} of the adapter {directory} is not at {beside}; move it there "
            f"or set base_model_name_or_path in {directory / CONFIG_FILE} to its path or hub id."
        )
    revision = raw.get("revision") or "main"
    return base if revision == "main" or "@" in base else f"{base}@{revision}"


@dataclasses.dataclass(frozen=True)
class AdapterReader:
    """An adapter whose config and tensors' names are checked, and whose tensors are on disk.

    Attributes:
        directory: where it stands.
        config: ranks and scales.
        factors: where each factor lies, by module and side ("a" and "b").
        copies: where copies of the base's own embedding or output layer lie, by module.
    """

    directory: pathlib.Path
    config: LoraConfig
    factors: dict[str, dict[str, Tensor]]
    copies: dict[str, Tensor]

    @property
    def unties(self) -> bool:
        """Whether embedding and output layer differ under it even if the base ties them."""
        return EMBEDDING in self.factors or HEAD in self.factors

    def check(self, config: ModelConfig) -> None:
        """Raises ValueError if it does not fit a base of this architecture."""
        shapes = {"/".join(spec.path): spec.shape for spec in tensor_table(config)}
        adapted = {m: (f["a"].shape[1], f["b"].shape[0]) for m, f in self.factors.items()}
        check_shapes(shapes, adapted, str(self.directory))

    def read(self, dtype: Any = None, base: Params | None = None) -> Adapter:
        """The factors.

        Args:
            dtype: of the factors; None leaves them as on disk.
            base: what they stand over; copies of its tensors must be equal to it.

        Raises:
            ValueError: a copy differs, so that the adapter was trained over other tensors.
        """
        for module, tensor in (self.copies if base else {}).items():
            self._check_copy(module, tensor, base or {})
        factors = {
            module: {
                side: jnp.asarray(
                    safetensors_io.read_tensor(tensor, True, np.dtype(dtype or tensor.dtype))
                )
                for side, tensor in sides.items()
            }
            for module, sides in self.factors.items()
        }
        return Adapter(factors, self.config)

    def _check_copy(self, module: str, tensor: Tensor, base: Params) -> None:
        part = base.get(module) or base[EMBEDDING]
        (leaf,) = jax.tree.leaves(part)
        same = tensor.shape == leaf.shape
        if same:
            # A copy may be wider or narrower than its original
            copy, ours = safetensors_io.read_tensor(tensor, False, tensor.dtype), np.asarray(leaf)
            pairs = (copy, ours.astype(copy.dtype)), (copy.astype(ours.dtype), ours)
            same = any(np.array_equal(one, other) for one, other in pairs)
        if not same:
            raise ValueError(
                f"{self.directory} brings its own {module_name(module)} {list(tensor.shape)}, "
                f"which is not that of the base {list(leaf.shape)}: it was trained together with "
                "other embeddings. Merge the adapter into its base with PEFT's merge_and_unload "
                "and use the whole model."
            )


def open_adapter(directory: PathLike) -> AdapterReader:
    """Checks an adapter that PEFT or `save_adapter` wrote; reads no tensor.

    Raises:
        ValueError: it is no LoRA adapter, a variant that computes something else (DoRA, biases,
            whole modules, ...), a pickle file, or its tensors do not belong together.
    """
    directory = pathlib.Path(directory)
    raw = _read_config(directory)
    refuse_variants(raw, directory)
    if not (directory / WEIGHTS_FILE).is_file():
        pickled = (directory / "adapter_model.bin").is_file()
        raise ValueError(
            f"{directory} has no {WEIGHTS_FILE}"
            + (
                ", only adapter_model.bin, a pickle file that can run code when read"
                if pickled
                else ""
            )
            + ". Save the adapter again with PEFT's save_pretrained(..., safe_serialization=True)."
        )
    factors: dict[str, dict[str, Tensor]] = {}
    copies: dict[str, Tensor] = {}
    names: dict[str, str] = {}
    for name, tensor in safetensors_io.read_headers([directory / WEIGHTS_FILE]).items():
        parsed = parse_factor_name(name, directory)
        if parsed is None:
            continue
        if tensor.type_name not in safetensors_io.DTYPES:
            raise ValueError(
                f"{name} in {directory} is {tensor.type_name}; factors must be one of "
                f"{', '.join(safetensors_io.DTYPES)}. Save the adapter unquantized."
            )
        if parsed.side == "whole":
            copies[parsed.module] = tensor
            continue
        sides = factors.setdefault(parsed.module, {})
        if parsed.side in sides:
            raise ValueError(
                f"{directory} holds lora_{parsed.side.upper()} of {module_name(parsed.module)} "
                "twice; a file holds one adapter. Save each in a directory of its own."
            )
        sides[parsed.side] = tensor
        names[parsed.module] = parsed.known_as
    config = from_peft(raw, names)
    _check(factors, config, directory)
    return AdapterReader(directory, config, factors, copies)


def load_adapter(directory: PathLike, dtype: Any = None, base: Params | None = None) -> Adapter:
    """Loads an adapter; see `open_adapter` and `AdapterReader.read`."""
    return open_adapter(directory).read(dtype, base)


def _read_config(directory: pathlib.Path) -> dict[str, Any]:
    if not (directory / CONFIG_FILE).is_file():
        raise ValueError(f"{directory} has no {CONFIG_FILE}; point at a PEFT adapter's directory.")
    return checkpoint_files.read_json(directory / CONFIG_FILE)


def _check(
    factors: dict[str, dict[str, Tensor]], config: LoraConfig, directory: pathlib.Path
) -> None:
    if not factors:
        raise ValueError(f"{directory / WEIGHTS_FILE} holds no LoRA factors; save it again.")
    for module, factor in factors.items():
        if set(factor) != {"a", "b"}:
            raise ValueError(
                f"{module_name(module)} has only its lora_{min(factor).upper()} in {directory}; "
                "the adapter is incomplete, copy or save it again."
            )
        a, b = factor["a"].shape, factor["b"].shape
        if {a[0], b[1]} != {config.rank_of(module)}:
            raise ValueError(
                f"{module_name(module)} in {directory} has factors {[*a[::-1]]} and {[*b[::-1]]}, "
                f"but its rank by {CONFIG_FILE} (r, rank_pattern) is "
                f"{config.rank_of(module)}; the two files must belong together."
            )
