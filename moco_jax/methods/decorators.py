"""One pure function becomes a method; nothing is registered.

    @moco.logit_method
    def product_of_experts(logits, sharpness=1.0):
        return sharpness * jax.nn.log_softmax(logits).sum(0)

    @moco.weight_method
    def midpoint(leaf, base, key):
        return leaf.mean(0)

Parameters with defaults are hyperparameters. The decorated name is a Method class whose `function`
is the function itself.
"""

import dataclasses
import inspect
import typing
from collections.abc import Callable
from typing import Any

import jax

from moco_jax.decoding.types import Sampling
from moco_jax.method import Method
from moco_jax.methods.logit.from_function import FunctionFusion
from moco_jax.methods.weight.from_function import FunctionMerge

RUN_NAMES = frozenset(field.name for field in dataclasses.fields(Sampling)) | {
    "batch_size",
    "data_dir",
    "do_sample",
    "dtype",
    "gpu_ids",
    "max_response_length",
    "prompt_template",
    "ratio",
    "seed",
}
"""Names that mean a setting of the run, and so cannot be a method's."""


def logit_method(function: Callable[..., jax.Array]) -> type[Method]:
    """Makes a method that writes one text with all members from a function of their logits.

    Args:
        function: `(logits f32[M, B, V], **hyperparameters) -> f32[B, V]`, pure and jit-able; each
            row of the result may depend on that row of the logits only. Hyperparameters that are
            floats reach it as arrays, so that another value compiles nothing; all others are
            Python values.

    Raises:
        TypeError: a parameter has no default, or its name belongs to the run or to Method.
    """
    return _method(FunctionFusion, function, 1)


def weight_method(function: Callable[..., jax.Array]) -> type[Method]:
    """Makes a method that merges the members' weights from a function of one leaf.

    Args:
        function: `(leaf f32[N, ...], base f32[...] or None, key, **hyperparameters) -> f32[...]`,
            pure and jit-able, called for every tensor; the result takes the members' dtype. `base`
            is the leaf of the model that the hyperparameter `base_model` names, if it does.

    Raises:
        TypeError: a parameter has no default, or its name belongs to the run or to Method.
    """
    return _method(FunctionMerge, function, 3)


def _method(base: type[Method], function: Callable[..., jax.Array], arrays: int) -> type[Method]:
    parameters = list(inspect.signature(function).parameters.values())
    if len(parameters) < arrays:
        raise TypeError(
            f"{function.__name__} takes {len(parameters)} parameters; it needs {arrays} for the "
            "arrays before its hyperparameters"
        )
    hints = typing.get_type_hints(function)
    fields = [_field(base, function, parameter, hints) for parameter in parameters[arrays:]]
    namespace = {
        "name": function.__name__,
        "function": staticmethod(function),
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
        "__doc__": function.__doc__,
    }
    return dataclasses.make_dataclass(
        function.__name__, fields, bases=(base,), namespace=namespace, frozen=True
    )


def _field(
    base: type[Method], function: Callable, parameter: inspect.Parameter, hints: dict[str, Any]
) -> tuple[str, Any, dataclasses.Field]:
    name, default = parameter.name, parameter.default
    if default is inspect.Parameter.empty:
        raise TypeError(
            f"{function.__name__}: parameter {name!r} has no default; hyperparameters need one, as "
            f"in {name}=1.0"
        )
    if name in RUN_NAMES or hasattr(base, name):
        raise TypeError(
            f"{function.__name__}: {name!r} already means something else for a run; give the "
            "hyperparameter another name"
        )
    if isinstance(default, list | dict | set):
        raise TypeError(
            f"{function.__name__}: {name!r} defaults to a {type(default).__name__}, which may "
            "change; use a tuple"
        )
    hint = hints.get(name, Any if default is None else type(default))
    return name, hint, dataclasses.field(default=default)
