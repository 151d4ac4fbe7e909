"""What a run is asked to do. Every setting of a run has its one default here or in `Sampling`."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any, Literal

from moco_jax.decoding.placement import read_sizes
from moco_jax.decoding.types import Sampling, several
from moco_jax.runs import words
from moco_jax.tasks.judging import ROLES
from moco_jax.tasks.surrogates import refuse_halves

DTYPES = ("float32", "bfloat16", "float16", "int8")
AUTO = "auto"


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """One (method, pool, task, seed) and how it is run.

    Attributes:
        method: a name, `file.py:attribute`, `package.module:attribute` or an entry point.
        task: a packaged task, a path, or the name of a file in `data_dir`.
        models: the pool, in order: `tiny:<name>`, directories, adapter directories, hub ids.
        seed: of all randomness.
        out: folder of run directories and of the store they share.
        sampling: how answers are drawn.
        ratio: share of both splits to keep, from the front.
        batch_size: rows decoded together (the decode width); "auto" is replaced by the most that a
            plan of the run fits into memory.
        dtype: of the weights; None takes float32 on CPU and bfloat16 on accelerators; "int8"
            rounds the kernels of linear layers.
        offload: members that are idle stand in host memory; changes no answer.
        mesh: sizes of the mesh of devices, such as "model=1,data=4,tensor=2"; None is one device.
        data_dir: folder of `<task>.json` files.
        prompt_template: replaces the task kind's own.
        kind: how to score, where the task's file does not say.
        reward_model: judges reward and text generation tasks; None takes the papers' own.
        verifier: judges general verifier tasks; None takes the papers' own.
        embedding_model: judges generation diversity tasks; None takes the papers' own.
        allow_weak_sandbox: run programs that models wrote even without namespaces.
        hyperparameters: (name, value) pairs for the method, sorted by name.
        name: what the directory's name begins with; None takes method and task.
        gpu_ids: recorded; the devices there are do the work, however many ids stand here.
    """

    method: str
    task: str
    models: tuple[str, ...]
    seed: int = 42
    out: str = "runs"
    sampling: Sampling = dataclasses.field(default_factory=Sampling)
    ratio: float = 1.0
    batch_size: int | Literal["auto"] = 32
    dtype: str | None = None
    offload: bool = False
    mesh: str | None = None
    data_dir: str | None = None
    prompt_template: str | None = None
    kind: str | None = None
    reward_model: str | None = None
    verifier: str | None = None
    embedding_model: str | None = None
    allow_weak_sandbox: bool = False
    hyperparameters: tuple[tuple[str, Any], ...] = ()
    name: str | None = None
    gpu_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "models", tuple(several(self.models)))
        refuse_halves(dataclasses.asdict(self), "the config")
        if not self.models:
            raise ValueError("a run needs at least one model; pass --models=NAME,NAME,...")
        if self.batch_size != AUTO and (isinstance(self.batch_size, str) or self.batch_size < 1):
            raise ValueError(f"batch_size is {self.batch_size!r}; it must be at least 1, or auto")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; it must be 0 or more")
        if not 0.0 < self.ratio <= 1.0:
            raise ValueError(f"ratio is {self.ratio}; it must be above 0 and at most 1")
        if self.mesh is not None:
            read_sizes(self.mesh)
        if self.dtype is not None and self.dtype not in DTYPES:
            raise ValueError(f"dtype is {self.dtype!r}; it must be one of {', '.join(DTYPES)}")

    @property
    def width(self) -> int:
        """The decode width.

        Raises:
            ValueError: it is not decided yet.
        """
        if self.batch_size == AUTO:
            raise ValueError("batch_size is 'auto' still; runs.planning.settle decides it")
        return int(self.batch_size)

    @classmethod
    def from_json(cls, path: str | pathlib.Path) -> "RunConfig":
        """Reads a config file: ours, the reference's as it is, or a finished run's `config.json`.

        Raises:
            ValueError: it is no JSON object, a name in it is unknown (the nearest are offered), a
                value has the wrong type, or a required name is missing.
        """
        path = pathlib.Path(path)
        try:
            record = json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise ValueError(f"{path} is not valid JSON: {error}") from error
        if not isinstance(record, dict):
            raise ValueError(f"{path} must hold one JSON object, not a {type(record).__name__}")
        try:
            refuse_halves(record, "the config")
            return cls.from_record(record.get("config", record))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "RunConfig":
        """Builds a config from the names of a config file; see `from_json`."""
        record = {words.OUR_NAMES.get(name, name): value for name, value in record.items()}
        settings = words.pairs("hyperparameters", record.pop("hyperparameters", {}))
        sampling = words.mapping("sampling", record.pop("sampling", {}))
        own = {field.name for field in dataclasses.fields(cls)}
        for name in record:
            if name not in own:
                raise ValueError(
                    words.unknown("setting", name, own | {"hyperparameters", *words.OUR_NAMES})
                    + " A method's own settings stand in 'hyperparameters'."
                )
        for name in ("method", "task", "models"):
            if not record.get(name):
                raise ValueError(f"the config has no {name!r}; a run needs method, task and models")
        for name in sampling:
            if name not in words.SAMPLING:
                raise ValueError(words.unknown("sampling setting", name, words.SAMPLING))
        for name, value in record.items():
            shared = name in ROLES or name in words.OF_METHODS_TOO
            if name in settings and not shared and settings[name] != value:
                raise ValueError(
                    f"{name} is {value!r}, but {settings[name]!r} among the hyperparameters; "
                    "it belongs to the run: keep one"
                )
        start = cls(**{name: words.typed(cls, name, value) for name, value in record.items()})
        drawn = {name: words.typed(Sampling, name, value) for name, value in sampling.items()}
        start = dataclasses.replace(start, sampling=dataclasses.replace(start.sampling, **drawn))
        return start.with_settings(settings)

    def with_settings(self, settings: Mapping[str, Any]) -> "RunConfig":
        """Changes settings by their flat names, as `--set name=value` and the reference do.

        Names of the run and of sampling go where they belong; all others go to the method, which
        refuses those it does not know when the run starts.
        """
        changes: dict[str, Any] = {}
        sampling: dict[str, Any] = {}
        rest = dict(self.hyperparameters)
        for name, value in settings.items():
            if name in words.OF_METHOD.get(self.method, ()):
                rest[name] = words.frozen(value)
            elif name in words.NO_EFFECT:
                words.report_no_effect(name, value)
            elif name in words.RUN:
                changes[name] = words.typed(RunConfig, name, value)
            elif name == "do_sample":
                continue
            elif words.OUR_NAMES.get(name, name) in words.SAMPLING:
                own = words.OUR_NAMES.get(name, name)
                sampling[own] = words.typed(Sampling, own, value)
            else:
                rest[name] = words.frozen(value)
        if not settings.get("do_sample", True):
            sampling["temperature"] = 0.0
        return dataclasses.replace(
            self,
            **changes,
            sampling=dataclasses.replace(self.sampling, **sampling),
            hyperparameters=tuple(sorted(rest.items())),
        )

    def to_record(self) -> dict[str, Any]:
        """A JSON-able record that `from_record` turns into this config again."""
        record = dataclasses.asdict(self)
        record["models"] = list(self.models)
        record["gpu_ids"] = list(self.gpu_ids)
        record["hyperparameters"] = dict(self.hyperparameters)
        return record
