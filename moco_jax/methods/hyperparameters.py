"""From names and JSON values to a method: nothing is ignored, every complaint names the field."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any

from moco_jax.method import Method

SPELLINGS: tuple[tuple[str, str], ...] = (
    ("cognitive_coeff", "cognitive_coefficient"),
    ("social_coeff", "social_coefficient"),
    ("repel_coeff", "repel_coefficient"),
    ("weight_randomness", "weight_randomness_flag"),
    ("repel_term", "repel_term_flag"),
    # The first cannot name a field in Python
    ("lambda", "lambda_"),
)
"""Pairs of names that mean one thing: a method that has one of them also takes the other."""


class HyperparameterError(ValueError):
    """A hyperparameter is unknown, missing, of the wrong type or out of range."""


def build(method: type[Method], hyperparameters: Mapping[str, Any]) -> Method:
    """Makes a method from JSON values.

    Args:
        method: the class; its fields are the hyperparameters, their annotations the types.
        hyperparameters: JSON values by name. true and 1 are one thing, an integer will do for a
            float, and a list for a tuple. `SPELLINGS` has names that stand for others.

    Raises:
        HyperparameterError: with the name of the field, what was given, and what would do.
    """
    fields = {field.name: field for field in dataclasses.fields(method)}
    hyperparameters = _respelled(method, fields, hyperparameters)
    for name in hyperparameters:
        if name not in fields:
            raise HyperparameterError(_unknown(method, name, list(fields)))
    required = [name for name, field in fields.items() if _is_required(field)]
    missing = [name for name in required if name not in hyperparameters]
    if missing:
        raise HyperparameterError(
            f"{method.name} needs {', '.join(missing)}; give it with --set {missing[0]}=VALUE "
            f"(in a comparison, {method.name}.{missing[0]}=VALUE) or in the config's "
            "hyperparameters"
        )
    hints = typing.get_type_hints(method)
    values = {
        name: _checked(method, name, hints[name], value) for name, value in hyperparameters.items()
    }
    try:
        return method(**values)
    except ValueError as error:
        raise HyperparameterError(str(error)) from error


def accepted(method: type[Method]) -> set[str]:
    """The names that `build` takes for a method: its fields, and other spellings of them."""
    names = {field.name for field in dataclasses.fields(method)}
    return names | {other for other, name in _other_spellings().items() if name in names}


def _other_spellings() -> dict[str, str]:
    return {one: other for pair in SPELLINGS for one, other in (pair, pair[::-1])}


def _respelled(
    method: type[Method], fields: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The values by the names that the method has, where another spelling of one was given."""
    known = _other_spellings()
    names = {
        name: known[name] if name not in fields and known.get(name) in fields else name
        for name in given
    }
    for name, field in names.items():
        if name != field and field in given:
            raise HyperparameterError(
                f"{method.name}: {name} and {field} are one thing; give only {field}"
            )
    return {field: given[name] for name, field in names.items()}


def _is_required(field: dataclasses.Field) -> bool:
    nothing = dataclasses.MISSING
    return field.default is nothing and field.default_factory is nothing


def _unknown(method: type[Method], name: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    if nearest:
        offer = f"did you mean {' or '.join(nearest)}?"
    else:
        offer = f"it has {', '.join(known)}" if known else "it has none"
    return f"{method.name} has no hyperparameter {name!r}; {offer}"


def _checked(method: type[Method], name: str, hint: Any, value: Any) -> Any:
    try:
        return convert(hint, value)
    except TypeError as error:
        raise HyperparameterError(
            f"{method.name}: {name} is {value!r}; it must be {describe(hint)}"
        ) from error


def convert(hint: Any, value: Any) -> Any:
    """`value` as the annotation wants it; TypeError where it does not fit."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _any_of(parts, value)
    if origin is typing.Literal:
        # `True in (1,)` holds, and a flag is no number here
        if any(value == part and type(value) is type(part) for part in parts):
            return value
        raise TypeError
    if (origin or hint) in (tuple, list):
        return _sequence(origin or hint, parts, value)
    if hint is bool and value in (0, 1) and isinstance(value, int):
        return bool(value)
    if hint is int and isinstance(value, int):
        return int(value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, origin or hint) and not isinstance(value, bool):
        return value
    raise TypeError


def _any_of(parts: tuple[Any, ...], value: Any) -> Any:
    if value is None and type(None) in parts:
        return None
    for part in parts:
        try:
            return convert(part, value)
        except TypeError:
            continue
    raise TypeError


def _sequence(kind: type, parts: tuple[Any, ...], value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise TypeError
    if not parts:
        return kind(value)
    if kind is tuple and parts[-1] is not Ellipsis:
        if len(parts) != len(value):
            raise TypeError
        return tuple(convert(part, one) for part, one in zip(parts, value, strict=True))
    return kind(convert(parts[0], one) for one in value)


def describe(hint: Any) -> str:
    """An annotation in words."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe(part) for part in parts)
    if origin is typing.Literal:
        return "one of " + ", ".join(repr(part) for part in parts)
    if origin in (tuple, list):
        return "a list of " + ", ".join(describe(part) for part in parts if part is not Ellipsis)
    if hint is type(None):
        return "null"
    words = {int: "an integer", float: "a number", bool: "true or false", str: "a text"}
    return words.get(hint, getattr(hint, "__name__", str(hint)))
