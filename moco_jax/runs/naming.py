"""From what a user passes (a name, a class, an object) to methods, tasks and names again."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from moco_jax import methods
from moco_jax.decoding.types import several
from moco_jax.method import Method
from moco_jax.methods.hyperparameters import accepted
from moco_jax.pool import Pool
from moco_jax.runs import words
from moco_jax.runs.config import RunConfig
from moco_jax.runs.resolved import all_hyperparameters
from moco_jax.tasks import Task, load_task

AnyMethod = str | type[Method] | Method
AnyPool = Pool | str | Sequence[str]


def make_method(method: AnyMethod, hyperparameters: Mapping[str, Any]) -> Method:
    """A method with its hyperparameters.

    Raises:
        ValueError: no method goes by that name, it has no such hyperparameter (the nearest names
            are offered), or it claims a name that belongs to the run.
    """
    if isinstance(method, Method):
        if hyperparameters:
            raise ValueError(
                f"{method.name} was passed ready made, so {', '.join(hyperparameters)} cannot be "
                "set any more; pass its class, or use dataclasses.replace"
            )
        kind, made = type(method), method
    else:
        kind = methods.resolve(method) if isinstance(method, str) else method
        _check_known(kind, hyperparameters)
        made = methods.make_method(kind, hyperparameters)
    claimed = sorted(_fields(kind) & words.REFUSED - words.OF_METHOD.get(kind.name, frozenset()))
    if claimed:
        raise ValueError(
            f"{kind.name} has a hyperparameter {claimed[0]!r}, a name that belongs to the run; "
            "give it another"
        )
    return made


def _fields(kind: type[Method]) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


def _check_known(kind: type[Method], hyperparameters: Mapping[str, Any]) -> None:
    """Offers names of the run as well: a misspelt `temperature` ends up among hyperparameters."""
    known = accepted(kind)
    for name in hyperparameters:
        if name not in known:
            what = f"hyperparameter of {kind.name}"
            raise ValueError(words.unknown(what, name, known | words.RESERVED))


def recorded(method: AnyMethod, hyperparameters: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """How a config file holds hyperparameters: those given, or all of a method made already."""
    given = all_hyperparameters(method) if isinstance(method, Method) else hyperparameters
    reserved = words.RESERVED - words.OF_METHOD.get(spec_of(method), frozenset())
    own = {name: value for name, value in given.items() if name not in reserved}
    return tuple(sorted((name, words.frozen(value)) for name, value in own.items()))


def spec_of(method: AnyMethod) -> str:
    """How a config file names a method."""
    if isinstance(method, str):
        return method
    return methods.spec_of(method if isinstance(method, type) else type(method))


def make_task(task: str | Task, config: RunConfig) -> Task:
    """The task a name means, cut and asked as the config says; a loaded task is taken as it is.

    Raises:
        ValueError: it cannot be loaded, or scoring it needs something that this machine lacks.
    """
    made = _load(task, config) if isinstance(task, str) else _as_it_is(task, config)
    made.ready()
    return made


def _load(task: str, config: RunConfig) -> Task:
    return load_task(
        task,
        data_dir=config.data_dir,
        ratio=config.ratio,
        prompt_template=config.prompt_template,
        kind=config.kind,
        allow_weak_sandbox=config.allow_weak_sandbox,
    )


def _as_it_is(task: Task, config: RunConfig) -> Task:
    changes = {
        "ratio": config.ratio != 1.0,
        "data_dir": config.data_dir is not None,
        "prompt_template": config.prompt_template is not None,
        "kind": config.kind is not None,
        "allow_weak_sandbox": config.allow_weak_sandbox and not task.allow_weak_sandbox,
    }
    for name, changed in changes.items():
        if changed:
            raise ValueError(
                f"{name} has no effect on task {task.name!r}, which is loaded already; "
                f"pass {name} to load_task instead"
            )
    return task


def task_name(task: str | Task) -> str:
    """How a config file names a task."""
    return task if isinstance(task, str) else task.source or task.name


def sources(pool: AnyPool) -> tuple[str, ...]:
    """How a config file names the members of a pool."""
    if not isinstance(pool, Pool):
        return tuple(several(pool))
    # A second member of the same name was told apart by a suffix.
    return tuple(re.sub(r"#\d+$", "", name) for name in pool.names)
