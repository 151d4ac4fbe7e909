"""What determines a run, down to the bytes of its files, and the name that follows from it."""

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import platform
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from moco_jax.decoding.keys import ENGINE_VERSION
from moco_jax.decoding.placement import Placement
from moco_jax.decoding.render import effective_sampling
from moco_jax.decoding.source import source_digest
from moco_jax.method import Method
from moco_jax.runs.config import RunConfig
from moco_jax.tasks import Task

PACKAGE = "moco_jax"
HASH_LENGTH = 10


@dataclasses.dataclass(frozen=True)
class Resolved:
    """A run with every default filled in and every name replaced by what it stands for.

    Attributes:
        config: what was asked for.
        method: name of the method, hash of its code and all that it leads to, hyperparameters.
        members: (name, identity) of the pool, in order.
        task: name and fingerprint.
        dtype: of the weights.
        judges: (role, name, identity) of the models that judge the answers.
        own: per member and helper, its generation config, where that has a say.
        helpers: (role, name, identity) of the models that the method uses beside the members.
    """

    config: RunConfig
    method: dict[str, Any]
    members: tuple[tuple[str, str], ...]
    task: dict[str, str]
    dtype: str
    judges: tuple[tuple[str, str, str], ...] = ()
    own: tuple[Mapping[str, Any], ...] = ()
    helpers: tuple[tuple[str, str, str], ...] = ()

    @classmethod
    def of(
        cls,
        config: RunConfig,
        method: Method,
        task: Task,
        members: Sequence[tuple[str, str]],
        dtype: str,
        judges: Sequence[tuple[str, str, str]] = (),
        own: Sequence[Mapping[str, Any]] = (),
        helpers: Sequence[tuple[str, str, str]] = (),
    ) -> "Resolved":
        """Resolves a config whose method, task and members are at hand."""
        described = {
            "name": method.name,
            "code": source_digest(type(method)),
            "hyperparameters": all_hyperparameters(method),
        }
        named = {"name": task.name, "kind": task.kind, "fingerprint": task.fingerprint}
        own = own if config.sampling.use_generation_config else ()
        models = tuple(judges), tuple(own), tuple(helpers)
        return cls(config, described, tuple(members), named, dtype, *models)

    @functools.cached_property
    def digest(self) -> str:
        """sha256 (hex) of all that determines the run's files."""
        parts: dict[str, Any] = {
            "method": self.method,
            "members": self.members,
            "task": self.task,
            "sampling": dataclasses.asdict(self.config.sampling),
            "seed": self.config.seed,
            "width": self.config.width,
            "dtype": self.dtype,
            "platform": jax.default_backend(),
            "versions": [package_version(PACKAGE), ENGINE_VERSION],
        }
        if self.config.mesh is not None:
            parts["mesh"] = Placement.of(self.config.mesh).sizes
        if self.own:
            sampled = [effective_sampling(self.config.sampling, one) for one in self.own]
            parts["own sampling"] = [dataclasses.asdict(one) for one in sampled]
        for name, models in (("judges", self.judges), ("helpers", self.helpers)):
            if models:
                parts[name] = [[role, identity] for role, _, identity in models]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def directory_name(self) -> str:
        """`<name>-<hash>`, safe as a file name."""
        name = self.config.name or f"{self.method['name']}-{self.task['name']}"
        return f"{re.sub(r'[^A-Za-z0-9._-]+', '_', name)}-{self.digest[:HASH_LENGTH]}"

    def to_record(self) -> dict[str, Any]:
        """What `config.json` holds; its part `config` can be run again as it is."""
        return {
            "config": self.config.to_record(),
            "digest": self.digest,
            "method": self.method,
            "members": [{"name": name, "identity": identity} for name, identity in self.members],
            "judges": _named(self.judges),
            "helpers": _named(self.helpers),
            "task": self.task,
            "dtype": self.dtype,
            "devices": devices(),
            "versions": versions(),
        }


def _named(models: Sequence[tuple[str, str, str]]) -> list[dict[str, str]]:
    return [dict(zip(("role", "name", "identity"), model, strict=True)) for model in models]


def all_hyperparameters(method: Method) -> dict[str, Any]:
    """Every hyperparameter of a method with its value, defaults included, as JSON values."""
    fields = dataclasses.asdict(method)
    try:
        return json.loads(json.dumps(fields, default=_as_json))
    except TypeError as error:
        raise ValueError(
            f"a hyperparameter of {method.name} cannot be recorded: {error}"
        ) from error


def _as_json(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return np.asarray(value).tolist()
    raise TypeError(f"{value!r} is no JSON value; hyperparameters are numbers, texts and lists")


def versions() -> dict[str, str]:
    """Versions of what a run's bytes may depend on."""
    packages = (PACKAGE, "jax", "numpy", "transformers")
    found = {name: package_version(name) for name in packages}
    return {**found, "python": platform.python_version(), "engine": str(ENGINE_VERSION)}


def package_version(name: str) -> str:
    """Version of an installed package, "uninstalled" without one."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "uninstalled"


def devices() -> dict[str, Any]:
    """The devices a run works on."""
    return {
        "platform": jax.default_backend(),
        "kind": jax.devices()[0].device_kind,
        "count": jax.device_count(),
        "processes": jax.process_count(),
    }
