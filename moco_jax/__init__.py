"""Model collaboration in JAX: several language models, one answer.

    import moco_jax as moco

    pool = moco.Pool.load(["tiny:math", "tiny:words", "tiny:facts"])
    task = moco.load_task("tiny_mix")
    print(moco.run("logit_logit_fusion", pool, task, seed=42))

Names are imported when they are first used, so that reading a task or printing help does not wait
for the accelerator's libraries.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moco_jax.analysis.sweep import compare as compare
    from moco_jax.decoding.combine import Choice as Choice
    from moco_jax.decoding.combine import Combine as Combine
    from moco_jax.decoding.engine import Engine as Engine
    from moco_jax.decoding.floor import Draft as Draft
    from moco_jax.decoding.floor import Floor as Floor
    from moco_jax.decoding.floor import Protocol as Protocol
    from moco_jax.decoding.session import Session as Session
    from moco_jax.decoding.types import Message as Message
    from moco_jax.decoding.types import Request as Request
    from moco_jax.decoding.types import Response as Response
    from moco_jax.decoding.types import Sampling as Sampling
    from moco_jax.decoding.types import Turn as Turn
    from moco_jax.method import Method as Method
    from moco_jax.method import Needs as Needs
    from moco_jax.method import NeedsError as NeedsError
    from moco_jax.method import Workbench as Workbench
    from moco_jax.methods.decorators import logit_method as logit_method
    from moco_jax.methods.decorators import weight_method as weight_method
    from moco_jax.pool import Member as Member
    from moco_jax.pool import Pool as Pool
    from moco_jax.runs import RunConfig as RunConfig
    from moco_jax.runs import RunResult as RunResult
    from moco_jax.runs import load_system as load_system
    from moco_jax.runs import run as run
    from moco_jax.system import Context as Context
    from moco_jax.system import System as System
    from moco_jax.tasks import Item as Item
    from moco_jax.tasks import Score as Score
    from moco_jax.tasks import Task as Task
    from moco_jax.tasks import load_task as load_task

__version__ = "0.1.0"

_HOMES = {
    "moco_jax.analysis.sweep": ("compare",),
    "moco_jax.decoding.combine": ("Choice", "Combine"),
    "moco_jax.decoding.engine": ("Engine",),
    "moco_jax.decoding.floor": ("Draft", "Floor", "Protocol"),
    "moco_jax.decoding.session": ("Session",),
    "moco_jax.decoding.types": ("Message", "Request", "Response", "Sampling", "Turn"),
    "moco_jax.method": ("Method", "Needs", "NeedsError", "Workbench"),
    "moco_jax.methods.decorators": ("logit_method", "weight_method"),
    "moco_jax.pool": ("Member", "Pool"),
    "moco_jax.runs": ("RunConfig", "RunResult", "load_system", "run"),
    "moco_jax.system": ("Context", "System"),
    "moco_jax.tasks": ("Item", "Score", "Task", "load_task"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME_OF, "__version__"])


def __getattr__(name: str) -> Any:
    """Imports a public name from its room."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
