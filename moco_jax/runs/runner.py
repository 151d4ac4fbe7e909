"""Running one collaboration: the front door."""

import pathlib
from collections.abc import Mapping
from typing import Any, Literal

from absl import logging

from moco_jax.decoding.placement import Placement
from moco_jax.decoding.types import Sampling
from moco_jax.method import Method, TaskInfo
from moco_jax.runs import naming
from moco_jax.runs.config import RunConfig
from moco_jax.runs.execution import execute
from moco_jax.runs.judges import AnyJudge, make_judges, names_of
from moco_jax.runs.members import Members
from moco_jax.runs.naming import AnyMethod, AnyPool
from moco_jax.runs.planning.settle import settle
from moco_jax.runs.processes import store_of
from moco_jax.runs.result import RunResult
from moco_jax.tasks import Task


def run(
    method: AnyMethod,
    pool: AnyPool,
    task: str | Task,
    *,
    seed: int = RunConfig.seed,
    sampling: Sampling | None = None,
    out: str | pathlib.Path = RunConfig.out,
    hyperparameters: Mapping[str, Any] | None = None,
    batch_size: int | Literal["auto"] = RunConfig.batch_size,
    ratio: float = RunConfig.ratio,
    dtype: str | None = None,
    offload: bool = False,
    mesh: str | None = None,
    data_dir: str | None = None,
    prompt_template: str | None = None,
    name: str | None = None,
    judges: Mapping[str, AnyJudge] | None = None,
    allow_weak_sandbox: bool = False,
    anew: bool = False,
    progress: bool = False,
) -> RunResult:
    """Fits a method on a task's dev split, lets it answer the test split, and scores it.

    A run killed at any moment goes on where it was when it is started again, and one that is
    finished is found again instead of computed again.

    Args:
        method: a name, `file.py:attribute`, a Method class, or a Method.
        pool: a loaded pool, or names of members; those are loaded once all checks are passed.
        task: a loaded task, or its name or path.
        seed: of all randomness.
        sampling: how answers are drawn.
        out: folder of the run directory and of the store shared with other runs.
        hyperparameters: the method's, by name; those not named keep their defaults.
        batch_size: rows decoded together; "auto" takes as many as fit into memory.
        ratio: share of both splits to keep, from the front.
        dtype: of the weights; None takes float32 on CPU and bfloat16 on accelerators.
        offload: keep idle members in host memory.
        mesh: sizes of the mesh of devices, such as "data=4,tensor=2"; None is one device.
        data_dir: folder of `<task>.json` files.
        prompt_template: replaces the task kind's own.
        name: what the directory's name begins with; None takes method and task.
        judges: models that judge answers, by role (`reward_model`, `verifier`,
            `embedding_model`): names, or loaded models; a task that needs one and has none is
            judged by the papers' own.
        allow_weak_sandbox: run programs that models wrote even without namespaces.
        anew: fits and answers again even if the run is finished.
        progress: whether long work draws a bar.

    Raises:
        ValueError: a name is unknown, a value out of range, or (NeedsError) the pool or the task
            does not meet what the method needs; nothing was loaded then.
    """
    made = naming.make_method(method, hyperparameters or {})
    config = RunConfig(
        method=naming.spec_of(method),
        task=naming.task_name(task),
        models=naming.sources(pool),
        seed=seed,
        out=str(out),
        sampling=sampling or Sampling(),
        ratio=ratio,
        batch_size=batch_size,
        dtype=dtype,
        offload=offload,
        mesh=mesh,
        data_dir=data_dir,
        prompt_template=prompt_template,
        hyperparameters=naming.recorded(method, hyperparameters or {}),
        name=name,
        allow_weak_sandbox=allow_weak_sandbox,
        **names_of(judges),
    )
    return start(config, made, task, pool, judges=judges, anew=anew, progress=progress)


def run_config(config: RunConfig, *, anew: bool = False, progress: bool = False) -> RunResult:
    """Runs what a config says; see `run`."""
    made = naming.make_method(config.method, dict(config.hyperparameters))
    return start(config, made, config.task, config.models, anew=anew, progress=progress)


def start(
    config: RunConfig,
    method: Method,
    task: str | Task,
    pool: AnyPool,
    *,
    judges: Mapping[str, AnyJudge] | None = None,
    anew: bool,
    progress: bool,
) -> RunResult:
    """Loads what is still only named, opens the store, and runs."""
    loaded = naming.make_task(task, config)
    members = Members(pool, config.dtype, Placement.of(config.mesh))
    members.check(method, TaskInfo.of(loaded))
    config = settle(config, [(method, loaded)], members)
    if config.gpu_ids:
        logging.info(
            "gpu_ids %s are recorded; all work goes to the devices there are", list(config.gpu_ids)
        )
    models = make_judges([loaded.kind], config, judges)
    with store_of(config.out) as kept:
        return execute(
            config, method, loaded, members, kept, judges=models, anew=anew, progress=progress
        )
