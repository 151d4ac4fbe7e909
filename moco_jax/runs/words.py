"""Names that settings go by: ours, the reference's, and those that do nothing here."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from absl import logging

from moco_jax.decoding.types import Sampling

OUR_NAMES: dict[str, str] = {
    "model_names": "models",
    "task_type": "kind",
    "max_response_length": "max_new_tokens",
}
"""The reference's names for what has another name here."""

SAMPLING = frozenset(field.name for field in dataclasses.fields(Sampling))

RUN = frozenset(
    {
        "seed",
        "ratio",
        "batch_size",
        "dtype",
        "offload",
        "mesh",
        "data_dir",
        "prompt_template",
        "name",
    }
)
"""Names that belong to the run wherever they stand; methods may not use them."""

NO_EFFECT: dict[str, str] = {
    "big_model_mode": "members stay on the devices there are, however large",
    "max_parallel_generation_models": "all members stay loaded, so nothing is started in waves",
    "load_in_8bit": "weights are loaded in `dtype`; pass dtype=int8 for one byte per weight",
    "dare_ties_base_path": "merged checkpoints stand in the run's own directory",
    "expo_base_path": "merged checkpoints stand in the run's own directory",
    "swarm_base_path": "particles stay in memory, the best stands in the run's own directory",
    "fast_merge_flag": "adapters are always combined as adapters, as `space` says",
    "ranker_gpu_id": "all models share the devices there are",
    "fuser_gpu_id": "all models share the devices there are",
    "ranker_max_response_length": "the ranker's labels are weighed, it writes nothing",
    **dict.fromkeys(
        (
            f"{role}_sft_{setting}"
            for role in ("ranker", "fuser")
            for setting in (
                "batch_size",
                "epoch",
                "gradient_accumulation_steps",
                "learning_rate",
            )
        ),
        "ranker and fuser are prompted, not trained",
    ),
    "use_kv_cache": "every member's cache is kept and follows the text",
    "selector_base_model": "no selector is trained here; `selector_model_name` names one",
    "training_instance_num": "no selector is trained here; `selector_model_name` names one",
    "rollout_per_instance": "no selector is trained here; `selector_model_name` names one",
    "reward_model_name": "no method asks a reward model; a judged task takes `reward_model`",
    "reward_model_gpu_id": "all models share the devices there are",
    "resume": "a run that was interrupted always goes on where it was",
}
"""Names of the reference that change nothing here, and why."""

OF_METHODS_TOO = frozenset({"task"})
"""Names that mean the run's own at the top of a config, and a method's among hyperparameters."""

OF_METHOD: dict[str, frozenset[str]] = {"text_llm_blender": frozenset({"top_k"})}
"""Names of sampling that are a method's own: among the settings of a run by that method they mean
its hyperparameter; only `sampling` in a config or in Python means the other."""

RESERVED = SAMPLING | RUN | NO_EFFECT.keys() | OUR_NAMES.keys() | {"do_sample"}
"""Names that a config never hands to a method."""

REFUSED = RESERVED - {"seed"}
"""Names that no hyperparameter may have. A method may keep a seed of its own, which only Python
code can set: in a config `seed` is the run's."""


def report_no_effect(name: str, value: Any) -> None:
    """Says in the log that a setting does nothing here, where it asks for something."""
    if value:
        logging.warning("%s=%r has no effect here: %s", name, value, NO_EFFECT[name])
    else:
        logging.info("%s=%r has no effect here: %s", name, value, NO_EFFECT[name])


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """The sentence that names an unknown name and offers the nearest known ones."""
    nearest = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)
    offer = f"did you mean {' or '.join(nearest)}?" if nearest else f"known: {_listed(known)}."
    return f"unknown {what} {name!r}: {offer}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def mapping(name: str, value: Any) -> dict[str, Any]:
    """A JSON object, by our names."""
    return {OUR_NAMES.get(key, key): entry for key, entry in pairs(name, value).items()}


def pairs(name: str, value: Any) -> dict[str, Any]:
    """A JSON object, by the names it has."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{name!r} must be a JSON object, not a {type(value).__name__}")
    return dict(value)


def frozen(value: Any) -> Any:
    """JSON lists as tuples."""
    return tuple(frozen(part) for part in value) if isinstance(value, list | tuple) else value


def typed(owner: type, name: str, value: Any) -> Any:
    """A JSON value as the type that field `name` of dataclass `owner` asks for.

    `true` and `1` are interchangeable, lists become tuples, and whole numbers may stand for
    fractions and the other way round.

    Raises:
        ValueError: the value cannot be that type.
    """
    wanted = typing.get_type_hints(owner)[name]
    kinds = typing.get_args(wanted) if _is_union(wanted) else (wanted,)
    for kind in kinds:
        fits, result = _as_kind(frozen(value), typing.get_origin(kind) or kind)
        if fits:
            return result
    expected = " or ".join(_KINDS.get(typing.get_origin(kind) or kind, "a value") for kind in kinds)
    raise ValueError(f"{name} is {value!r}; it must be {expected}")


_KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    tuple: "a list",
    typing.Literal: "a text",
    types.NoneType: "null",
}


def _is_union(wanted: Any) -> bool:
    return typing.get_origin(wanted) in (types.UnionType, typing.Union)


def _as_kind(value: Any, kind: Any) -> tuple[bool, Any]:
    """Whether a value can be of a kind, and the value as that kind."""
    if kind is bool:
        return value in (True, False) and isinstance(value, int | float), bool(value)
    if kind is int:
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return whole, int(value) if whole else value
    if kind is float:
        number = isinstance(value, int | float)
        return number, float(value) if number else value
    if kind is typing.Literal:
        return isinstance(value, str), value
    return isinstance(value, kind), value
