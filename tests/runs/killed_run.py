"""Runs the same run twice: unbroken, and killed over and over. Started by `test_killed_run.py`.

Usage: python killed_run.py FOLDER. Every attempt is a process forked before JAX has started any
thread; it kills itself with SIGKILL at a given moment. Prints what each attempt had reached.
"""

import json
import os
import pathlib
import random
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

import jax
import toy_methods

from moco_jax import testing
from moco_jax.runs import run
from moco_jax.runs.store import SqliteStore

CACHE = pathlib.Path(__file__).parent.parent.parent / ".cache" / "jax"


def dying(function: Callable[..., Any], after: int) -> Callable[..., Any]:
    """The function, whose call number `after` is the process's last act."""
    calls = 0

    def call(*args: Any) -> Any:
        nonlocal calls
        result = function(*args)
        calls += 1
        if calls == after:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call


def attempt(out: pathlib.Path, puts: int = 0, replaces: int = 0) -> None:
    """One process: runs until it dies after so many stored answers or moved files."""
    jax.config.update("jax_compilation_cache_dir", str(CACHE))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    SqliteStore.put = dying(SqliteStore.put, puts)
    os.replace = dying(os.replace, replaces)
    pool, task = testing.dummy_pool(2), testing.dummy_task(size=12)
    run(toy_methods.Relay, pool, task, out=out, sampling=testing.SHORT, batch_size=4)


def forked(out: pathlib.Path, **moment: int) -> dict[str, Any]:
    """Makes an attempt and says how it ended and where it stood."""
    child = os.fork()
    if child == 0:
        try:
            attempt(out, **moment)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    work = list(out.glob("*.unfinished"))
    return {
        **moment,
        "killed": os.WIFSIGNALED(status),
        "failed": os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0,
        "fitted": bool(work) and (work[0] / "artifacts").is_dir(),
        "unfinished": bool(work),
    }


def main(folder: pathlib.Path) -> None:
    """Prints one JSON line per attempt."""
    moments = random.Random(11)
    print(json.dumps(forked(folder / "unbroken")))
    # Some 70 answers are stored while fitting, some 40 while answering. Files are moved into place
    # in this order: config, the fit's ledger and system, five files, and the directory. Going on
    # with a fitted system, the five files follow the config.
    plans: list[dict[str, int]] = [
        {"puts": moments.randint(5, 60)},
        {"replaces": 2},
        {"puts": moments.randint(3, 30)},
        {"replaces": moments.randint(2, 6)},
        {},
    ]
    for plan in plans:
        print(json.dumps(forked(folder / "broken", **plan)), flush=True)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
