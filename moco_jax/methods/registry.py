"""Which methods there are, and how the name of one becomes a class.

Built-in methods stand in explicit dicts, one per level. A method of one's own needs no
registration: it is named by the file or module it stands in, or by a Python entry point.
"""

import difflib
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import pathlib
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from moco_jax.decoding.keys import digest
from moco_jax.method import Method
from moco_jax.methods.api import API
from moco_jax.methods.baseline import BASELINE
from moco_jax.methods.hyperparameters import build
from moco_jax.methods.logit import LOGIT
from moco_jax.methods.text import TEXT
from moco_jax.methods.weight import WEIGHT

METHODS: dict[str, type[Method]] = {**BASELINE, **API, **TEXT, **LOGIT, **WEIGHT}
"""Every built-in method by its name."""

ENTRY_POINTS = "moco_jax.methods"
"""Group of entry points through which other packages offer methods."""

_FROM_FILE = "moco_jax_method_file_"


def resolve(spec: str) -> type[Method]:
    """The method class that a name means.

    Args:
        spec: a built-in name, `my_file.py:attr`, `my_pkg.mod:attr`, or the name of an entry point
            in the group `moco_jax.methods`.

    Raises:
        ValueError: there is no such method (the nearest names are offered), or what stands there
            is none.
        FileNotFoundError: the file does not exist.
    """
    if spec in METHODS:
        return METHODS[spec]
    place, colon, attribute = spec.rpartition(":")
    if colon:
        module = _from_file(place) if place.endswith(".py") else _from_package(place, spec)
        return _method_in(module, attribute, spec)
    offered = {entry.name: entry for entry in importlib.metadata.entry_points(group=ENTRY_POINTS)}
    if spec in offered:
        return _is_method(offered[spec].load(), spec)
    known = sorted([*METHODS, *offered])
    nearest = difflib.get_close_matches(spec, known, n=3, cutoff=0.4)
    offer = f"did you mean {' or '.join(nearest)}?" if nearest else f"there are {', '.join(known)}."
    raise ValueError(
        f"no method {spec!r}: {offer} A method of your own is named my_file.py:attr or "
        "my_pkg.mod:attr"
    )


def runs_new_code(spec: str) -> bool:
    """Whether to resolve a name would run a file or module that this process has not loaded yet.

    Built-in methods and installed entry points are named without a colon.
    """
    place, colon, _ = spec.rpartition(":")
    if not colon:
        return False
    return (_name_of(pathlib.Path(place).resolve()) if place.endswith(".py") else place) not in (
        sys.modules
    )


def make_method(spec: str | type[Method], hyperparameters: Mapping[str, Any]) -> Method:
    """A method with its hyperparameters, checked.

    Args:
        spec: see `resolve`; or the class itself.
        hyperparameters: JSON values by name, see `hyperparameters.build`.
    """
    return build(resolve(spec) if isinstance(spec, str) else spec, hyperparameters)


def spec_of(method: type[Method]) -> str:
    """The name under which `resolve` finds a method class again."""
    if METHODS.get(method.name) is method:
        return method.name
    module = sys.modules.get(method.__module__)
    file = getattr(module, "__file__", None)
    by_path = method.__module__ == "__main__" or method.__module__.startswith(_FROM_FILE)
    return f"{file if by_path and file else method.__module__}:{method.__qualname__}"


def _from_file(place: str) -> ModuleType:
    path = pathlib.Path(place).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path} to read a method from; check the path")
    name = _name_of(path)
    if name in sys.modules:
        return sys.modules[name]
    loader = importlib.machinery.SourceFileLoader(name, str(path))
    found = importlib.util.spec_from_file_location(name, path, loader=loader)
    if found is None:
        raise ImportError(f"{path} cannot be read as a Python module; check that it is one")
    module = importlib.util.module_from_spec(found)
    # Before it runs: annotations and dataclasses look their module up by name
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _name_of(path: pathlib.Path) -> str:
    """The name under which a file's module is loaded."""
    return f"{_FROM_FILE}{path.stem}_{digest(str(path))[:12]}"


def _from_package(place: str, spec: str) -> ModuleType:
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"method {spec!r}: there is no module {error.name!r}; a file is named with its ending, "
            f"as in {place.split('.')[-1]}.py:attr"
        ) from error


def _method_in(module: ModuleType, attribute: str, spec: str) -> type[Method]:
    value: Any = module
    for name in attribute.split("."):
        if not hasattr(value, name):
            names = [key for key, found in vars(value).items() if _looks_like_method(found)]
            raise ValueError(
                f"method {spec!r}: there is no {name!r} there; methods it has: "
                f"{', '.join(names) or 'none'}"
            )
        value = getattr(value, name)
    return _is_method(value, spec)


def _looks_like_method(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Method) and hasattr(value, "name")


def _is_method(value: Any, spec: str) -> type[Method]:
    if _looks_like_method(value):
        return value
    raise ValueError(
        f"{spec!r} is {getattr(value, '__name__', repr(value))}, a {type(value).__name__} and no "
        "method: decorate a function with @moco.logit_method or @moco.weight_method, or subclass "
        "Method and give it a name"
    )
