"""What a piece of Python does, as one hash: its code and all the code and constants it leads to.

A policy, a protocol or a method is more than one function: it calls helpers and reads prompts and
constants. An answer found under its key, or a finished run found again, must come from the code
that stands there now, so that code is part of both keys.

What is hashed is what would be executed. Comments, docstrings, annotations, the place in a file and
the names of modules do not count. Random draws never follow from this hash.
"""

import dataclasses
import dis
import enum
import functools
import hashlib
import importlib.util
import pathlib
import re
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

HOUSE = "moco_jax"
APART = ("decoding", "models", "pool", "runs", "methods.registry")
"""Rooms of the house whose code is not followed: the engine, whose version stands in every key, and
what only looks things up."""
FOLLOWED = ("decoding.combine",)
"""Modules of these rooms that hold policies."""

_LIBRARIES = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib"))
_INSTALLED = ("site-packages", "dist-packages")
_CHANGES = frozenset(
    {
        "append",
        "add",
        "update",
        "setdefault",
        "extend",
        "insert",
        "pop",
        "popitem",
        "clear",
        "remove",
    }
)
_STORES = frozenset({"STORE_SUBSCR", "DELETE_SUBSCR"})
_ORDER = [f"__{name}__" for name in ("eq", "lt", "le", "gt", "ge", "hash")]
_OF_DATACLASSES = {"__init__", "__repr__", "__replace__", "__setattr__", "__delattr__", *_ORDER}


def source_digest(*values: Any) -> str:
    """sha256 (hex) of what functions, classes or objects do.

    Functions are followed through the globals, modules, closures, defaults and decorators that
    they use, classes through their bases and attributes, bound methods and instances of
    dataclasses and of a user's own classes through the values they hold; as far as the code
    belongs to this package or to a user's own files. Installed libraries count by name, and so does
    the engine, which has a version. Lists, dicts and sets count by what they hold, unless the code
    itself writes into them.

    Args:
        *values: functions, classes, instances of dataclasses, or plain values.
    """
    return _Reader().digest(values)


class _Reader:
    """Walks what values lead to, each object once and in the order in which it was met."""

    def __init__(self) -> None:
        self._met: list[Any] = []
        self._number: dict[int, int] = {}
        self._written: set[int] = set()
        self._home = HOUSE

    def digest(self, values: tuple[Any, ...]) -> str:
        total, done = hashlib.sha256(), 0
        tables: list[Any] = []
        for value in values:
            self._home = (getattr(_unwrapped(value), "__module__", None) or HOUSE).split(".")[0]
            _update(total, self._parts(value))
            while done < len(self._met) or tables:
                # What code writes into is its memory and no setting, so all code is read first
                one = self._met[done] if done < len(self._met) else tables.pop(0)
                late = isinstance(one, list | dict | set) and done < len(self._met)
                done += done < len(self._met)
                if late:
                    tables.append(one)
                elif id(one) not in self._written:
                    _update(total, self._object(one))
        return total.hexdigest()

    def _parts(self, value: Any) -> Iterator[str]:
        """Texts that together tell a value from all others."""
        if value is None or isinstance(value, bool | int | float | complex | str | bytes):
            yield f"{type(value).__name__} {value!r}"
        elif isinstance(value, np.ndarray | np.generic | jax.Array):
            array = np.asarray(value)
            found = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
            yield f"array {array.dtype} {array.shape} {found}"
        elif isinstance(value, types.ModuleType):
            yield f"module {value.__name__}"
        elif isinstance(value, tuple):
            yield f"row {len(value)}"
            for part in value:
                yield from self._parts(part)
        elif isinstance(value, frozenset):
            # Sets of texts have another order in every process
            yield from self._parts(tuple(sorted(value, key=repr)))
        else:
            if id(value) not in self._number:
                self._number[id(value)] = len(self._met)
                self._met.append(value)
            yield f"object {self._number[id(value)]}"

    def _object(self, value: Any) -> Iterator[str]:
        if isinstance(value, list):
            yield from self._parts(tuple(value))
        elif isinstance(value, dict):
            yield from self._parts(tuple(value.items()))
        elif isinstance(value, set):
            yield from self._parts(frozenset(value))
        elif isinstance(value, types.FunctionType):
            yield from self._function(value)
        elif isinstance(value, types.MethodType):
            yield from self._parts(value.__func__)
            yield from self._parts(value.__self__)
        elif isinstance(value, functools.partial):
            yield "partial"
            for part in (value.func, value.args, value.keywords):
                yield from self._parts(part)
        elif isinstance(value, property):
            yield from self._parts((value.fget, value.fset))
        elif isinstance(value, functools.cached_property):
            yield from self._parts(value.func)
        elif isinstance(value, re.Pattern):
            yield f"pattern {value.pattern!r} {value.flags}"
        elif isinstance(value, type):
            yield from self._class(value)
        elif (inner := _unwrapped(value)) is not value:
            yield from self._parts(inner)
        else:
            yield from self._instance(value)

    def _instance(self, value: Any) -> Iterator[str]:
        yield f"instance {getattr(value, '__qualname__', '')}"
        yield from self._parts(type(value))
        identity = getattr(value, "identity", None)
        if isinstance(identity, str):
            yield f"identity {identity}"
        elif isinstance(value, enum.Enum):
            yield value.name
        elif dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                yield field.name
                yield from self._parts(getattr(value, field.name))
        elif self._users(type(value).__module__) or isinstance(value, types.SimpleNamespace):
            for name, held in sorted(getattr(value, "__dict__", {}).items()):
                yield name
                yield from self._parts(held)

    def _function(self, function: types.FunctionType) -> Iterator[str]:
        if not self._own(function.__module__):
            yield f"named {function.__module__}.{function.__qualname__}"
            return
        yield "function"
        yield from self._parts((function.__defaults__, function.__kwdefaults__))
        for cell in function.__closure__ or ():
            try:
                yield from self._parts(cell.cell_contents)
            except ValueError:
                yield "empty cell"
        yield from map(_instructions, _nested(function.__code__))
        space = function.__globals__
        self._written |= {id(space.get(name)) for name in _writes_into(function.__code__)}
        for name, value in _used(function.__code__, function.__globals__, self._own):
            yield name
            yield from self._parts(value)
        package = function.__globals__.get("__package__") or ""
        yield from _imported(function.__code__, package, self._own)

    def _class(self, kind: type) -> Iterator[str]:
        if not self._own(kind.__module__):
            yield f"named {kind.__module__}.{kind.__qualname__}"
            return
        yield "class"
        for base in kind.__bases__:
            yield from self._parts(base)
        fields = kind.__dict__.get("__dataclass_fields__", {})
        for field in fields.values():
            yield field.name
            yield from self._parts((field.default, field.default_factory))
        for name, value in sorted(vars(kind).items()):
            inner = getattr(value, "__func__", value)
            if not _made_up(name, inner, bool(fields)):
                yield name
                yield from self._parts(inner)

    def _users(self, module: str) -> bool:
        """Whether a module is a user's own."""
        return self._own(module) and module.split(".")[0] != HOUSE

    def _own(self, module: str | None) -> bool:
        """Whether a module's code is followed."""
        first, _, inside = (module or "").partition(".")
        if first == HOUSE:
            under = [room for room in APART if f"{inside}.".startswith(f"{room}.")]
            return not under or inside in FOLLOWED
        if first in sys.stdlib_module_names:
            return False
        file = getattr(sys.modules.get(module or ""), "__file__", None)
        # Without a file it was typed at a prompt, or run from a text
        if file is None or first in (self._home, "__main__"):
            return True
        return not _is_library(file)


def _is_library(file: str) -> bool:
    """Whether a file belongs to Python or was installed."""
    return file.startswith(_LIBRARIES) or any(part in file for part in _INSTALLED)


def _update(total: Any, parts: Iterator[str]) -> None:
    for part in parts:
        total.update(f"{len(part)}:{part}".encode("utf-8", "surrogatepass"))


def _unwrapped(value: Any) -> Any:
    """What a decorated function was; any other value as it is."""
    inner = getattr(value, "__wrapped__", None)
    return value if inner is None or isinstance(value, type) else inner


def _made_up(name: str, value: Any, dataclass: bool) -> bool:
    """Whether an attribute of a class was written by Python itself or by `dataclasses`."""
    if not isinstance(value, types.FunctionType):
        return name.startswith("__") or name == "_abc_impl"
    made = value.__code__.co_filename == "<string>" and name in _OF_DATACLASSES
    return name.startswith("__annotate") or (dataclass and made)


@functools.lru_cache(maxsize=4096)
def _instructions(code: types.CodeType) -> str:
    """What a code object does, whatever its docstring, its lines and its place."""
    found = [f"{code.co_argcount} {code.co_posonlyargcount} {code.co_kwonlyargcount}"]
    found.append(" ".join(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]))
    for step in dis.get_instructions(code):
        if step.opname in ("NOP", "RESUME", "EXTENDED_ARG", "CACHE"):
            continue
        value = step.argval
        if isinstance(value, types.CodeType):
            value = "code"
        elif isinstance(value, frozenset):
            value = sorted(value, key=repr)
        elif step.opcode in dis.hasjrel or step.opcode in dis.hasjabs:
            value = step.arg
        found.append(f"{step.opname} {value!r}")
    found.append(repr(code.co_exceptiontable) if hasattr(code, "co_exceptiontable") else "")
    return "\n".join(found)


@functools.lru_cache(maxsize=4096)
def _writes_into(code: types.CodeType) -> frozenset[str]:
    """Names of globals that code changes in place: memories and logs."""
    found = set()
    for one in _nested(code):
        steps = list(dis.get_instructions(one))
        for place, step in enumerate(steps):
            after = steps[place + 1 : place + 3]
            asked = bool(after) and after[0].argval in _CHANGES
            if step.opname == "LOAD_GLOBAL" and (
                asked or (after[-1:] and after[-1].opname in _STORES)
            ):
                found.add(step.argval)
    return frozenset(found)


def _nested(code: types.CodeType) -> list[types.CodeType]:
    """A code object and all those within it."""
    found = [code]
    for one in found:
        found += [inner for inner in one.co_consts if isinstance(inner, types.CodeType)]
    return found


def _used(
    code: types.CodeType, space: dict[str, Any], own: Callable[[str], bool]
) -> Iterator[tuple[str, Any]]:
    """(name, value) of the globals, and of the attributes of modules, that code reads."""
    names = sorted({name for one in _nested(code) for name in one.co_names})
    modules = []
    for name in names:
        if isinstance(space.get(name), types.ModuleType):
            modules.append(space[name])
        elif name in space:
            yield name, space[name]
    for module in modules:
        for name in names:
            value = vars(module).get(name)
            if isinstance(value, types.ModuleType):
                if value not in modules and own(value.__name__):
                    modules.append(value)
            elif value is not None and own(module.__name__):
                yield f"{module.__name__}.{name}", value


@functools.lru_cache(maxsize=4096)
def _imports(code: types.CodeType) -> tuple[tuple[int, str, tuple[str, ...]], ...]:
    """(level, module, names) of every import that code does when it runs."""
    found = []
    for one in _nested(code):
        steps = list(dis.get_instructions(one))
        for place, step in enumerate(steps):
            if step.opname == "IMPORT_NAME":
                level, names = (before.argval for before in steps[place - 2 : place])
                found.append((level, step.argval, tuple(names or ())))
    return tuple(found)


def _imported(code: types.CodeType, package: str, own: Callable[[str], bool]) -> Iterator[str]:
    """What the modules do that code imports when it runs; they are read and not run for it."""
    for level, name, names in _imports(code):
        name = importlib.util.resolve_name("." * level + name, package) if level else name
        if not own(name):
            continue
        inside = [file for part in names if (file := _file_of(f"{name}.{part}"))]
        for file in inside or filter(None, [_file_of(name)]):
            if name.split(".")[0] == HOUSE or not _is_library(file):
                whole = compile(pathlib.Path(file).read_bytes(), file, "exec")
                yield from map(_instructions, _nested(whole))


def _file_of(module: str) -> str | None:
    """The file of a module, which need not be loaded; None where there is none to read."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    origin = None if spec is None else spec.origin
    return origin if origin and origin.endswith(".py") else None
