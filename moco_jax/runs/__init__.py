"""Runs: configs, run directories, the store, the ledger, results, and what ties them together."""

from moco_jax.runs.config import RunConfig
from moco_jax.runs.directory import find_runs
from moco_jax.runs.execution import read_result
from moco_jax.runs.ledger import Ledger
from moco_jax.runs.loaded import LoadedSystem, load_system
from moco_jax.runs.reference_log import write_reference_log
from moco_jax.runs.result import MemberScore, RunResult
from moco_jax.runs.runner import run, run_config
from moco_jax.runs.statistics import Interval, difference_interval, mean_interval
from moco_jax.runs.store import SqliteStore

__all__ = [
    "Interval",
    "Ledger",
    "LoadedSystem",
    "MemberScore",
    "RunConfig",
    "RunResult",
    "SqliteStore",
    "difference_interval",
    "find_runs",
    "load_system",
    "mean_interval",
    "read_result",
    "run",
    "run_config",
    "write_reference_log",
]
