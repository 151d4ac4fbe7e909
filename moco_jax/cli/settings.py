"""The flags that describe a run, and the config they make together with a file."""

import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

if TYPE_CHECKING:
    from moco_jax.cli.commands import Parsed
    from moco_jax.runs.config import RunConfig

VERBOSE, DEBUG = "verbose", "debug"
REQUIRED = ("method", "task", "models")
JUDGES = ("reward_model", "verifier", "embedding_model")
FIELDS = ("models", "out", "allow_weak_sandbox", "offload", "mesh", *JUDGES)
FLAT = ("max_new_tokens", "temperature", "top_p", "batch_size", "ratio", "data_dir", "dtype")
"""Flags that have the names of settings; `RunConfig.with_settings` knows where they belong."""


def define_pool(values: flags.FlagValues) -> None:
    """Flags for where settings and members come from."""
    flags.DEFINE_string(
        "config",
        None,
        "JSON file with settings: ours, a finished run's config.json, or the reference's; flags "
        "given beside it win",
        short_name="c",
        flag_values=values,
    )
    flags.DEFINE_alias("config_file", "config", flag_values=values)
    flags.DEFINE_list(
        "models",
        None,
        "the pool, in order: tiny:NAME, directories, LoRA adapter directories, hub ids",
        flag_values=values,
    )


def define_decoding(values: flags.FlagValues) -> None:
    """Flags for how answers are drawn, on which questions, and on what."""
    texts = {
        "out": "folder of run directories and of the store they share",
        "data_dir": "folder of TASK.json files",
        "dtype": "of the weights: float32, bfloat16, float16, int8 (default: float32 on CPU, else "
        "bfloat16)",
        "batch_size": "rows decoded together, or auto: as many as fit into memory",
        "mesh": "devices to use, such as model=2,data=4,tensor=2: members over `model`, rows over "
        "`data` (-1: what is left), each member over `tensor` (default: one device)",
        "reward_model": "judges reward_model and text_generation tasks (default: the papers')",
        "verifier": "judges general_verifier tasks (default: the papers')",
        "embedding_model": "judges generation_diversity tasks (default: the papers')",
    }
    numbers: dict[str, tuple[Callable[..., Any], str]] = {
        "max_new_tokens": (flags.DEFINE_integer, "longest answer, in tokens"),
        "temperature": (flags.DEFINE_float, "0 always takes the most likely token"),
        "top_p": (flags.DEFINE_float, "share of probability to draw from"),
        "ratio": (flags.DEFINE_float, "share of both splits to keep, from the front"),
    }
    flags.DEFINE_multi_string(
        "set",
        [],
        "any other setting, of the method or of sampling, as a JSON value or a text; may be "
        "repeated",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "allow_weak_sandbox",
        False,
        "run programs that models wrote even where the system gives no namespaces; they can then "
        "read and write what you can (docs/sandbox.md)",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "offload",
        False,
        "keep members that are idle in host memory, for pools that are larger than the device's",
        flag_values=values,
    )
    for name, (define, text) in numbers.items():
        define(name, None, text, flag_values=values)
    for name, text in texts.items():
        flags.DEFINE_string(name, None, text, flag_values=values)


def defaults() -> dict[str, Any]:
    """Default values by flag, from the one place where each is set."""
    from moco_jax.decoding.types import Sampling
    from moco_jax.runs.config import RunConfig

    names = ("seed", "out", "batch_size", "ratio", "max_new_tokens", "temperature", "top_p")
    return {name: getattr(RunConfig, name, getattr(Sampling, name, None)) for name in names}


def make_config(
    parsed: "Parsed", record: Mapping[str, Any], settings: Mapping[str, Any]
) -> "RunConfig":
    """The config that a file and the flags beside it make.

    Args:
        parsed: the flags of `define_pool` and `define_decoding`.
        record: what the file holds, see `read_config`, and what replaces parts of it.
        settings: further settings by their flat names.

    Raises:
        ValueError: something is missing, unknown, or cannot have the value it has.
    """
    from moco_jax.runs.config import RunConfig

    asked = {**record, **parsed.given(FIELDS)}
    missing = [f"--{name}" for name in REQUIRED if not asked.get(name)]
    if missing:
        verb, them = ("is", "it") if len(missing) == 1 else ("are", "them")
        raise ValueError(
            f"{' and '.join(missing)} {verb} missing; give {them} here or in --config=FILE"
        )
    config = RunConfig.from_record(asked)
    flat = parsed.given(FLAT)
    if str(flat.get("batch_size")).isdecimal():
        flat["batch_size"] = int(flat["batch_size"])
    return config.with_settings({**flat, **settings})


def read_config(path: str | None) -> dict[str, Any]:
    """What a config file holds, under our names; nothing without a file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no JSON object.
    """
    if path is None:
        return {}
    from moco_jax.runs.words import OUR_NAMES

    file = pathlib.Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no config file {file}")
    try:
        record = json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{file} is not valid JSON: {error}") from error
    if not isinstance(record, dict):
        raise ValueError(f"{file} must hold one JSON object, not a {type(record).__name__}")
    record = record.get("config", record)
    return {OUR_NAMES.get(name, name): value for name, value in record.items()}


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """`NAME=VALUE` words as values by name; a value that is no JSON is a text.

    Raises:
        ValueError: a word has no `=`.
    """
    found = {}
    for setting in settings:
        name, sign, value = setting.partition("=")
        if not (name and sign):
            raise ValueError(f"--set {setting!r} must be NAME=VALUE, such as --set samples=8")
        try:
            found[name.strip()] = json.loads(value)
        except json.JSONDecodeError:
            found[name.strip()] = value
    return found
