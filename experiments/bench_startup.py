"""Start-up: from nothing to the first answer of the tiny pool, in processes of their own.

    python experiments/bench_startup.py --repeats=5

Cold has an empty folder of compiled programs, warm has the one that a cold start left behind.
PyTorch, which the benchmarks install and users need not, is kept out.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from absl import app, flags

_MEMBERS = flags.DEFINE_list("models", ["tiny:math", "tiny:words", "tiny:facts"], "The pool.")
_NEW = flags.DEFINE_integer("new", 32, "Most tokens of an answer.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Starts of each kind.")
_QUICK = flags.DEFINE_bool("quick", False, "Only see that it runs.")
_JSON = flags.DEFINE_string("json", None, "Where to write the table.")
_CHILD = flags.DEFINE_string("child", None, "Start once with this folder of compiled programs.")

COMPILED = "/jax/core/compile/backend_compile_duration"
FOUND = "/jax/compilation_cache/cache_hits"


def child(folder: str) -> None:
    start = time.perf_counter()
    # The library has no use for PyTorch, but transformers imports it wherever it is installed
    sys.modules["torch"] = None
    import jax

    from moco_jax.cli.environment import configure_jax
    from moco_jax.decoding.types import Sampling
    from moco_jax.pool import Pool

    counts = {COMPILED: 0, FOUND: 0}

    def count(event: str, *_: object, **__: object) -> None:
        if event in counts:
            counts[event] += 1

    configure_jax(folder)
    jax.monitoring.register_event_duration_secs_listener(count)
    jax.monitoring.register_event_listener(count)
    imported = time.perf_counter()
    pool = Pool.load(_MEMBERS.value)
    loaded = time.perf_counter()
    pool.generate(["What is 2 + 3?"], Sampling(max_new_tokens=_NEW.value, temperature=0.0))
    answered = time.perf_counter()
    # Those found in the folder are announced as compiled too
    figures = {
        "import, s": imported - start,
        "load, s": loaded - imported,
        "answer, s": answered - loaded,
        "in all, s": answered - start,
        "programs": counts[COMPILED],
        "of them found": counts[FOUND],
    }
    print(json.dumps(figures))


def start(folder: pathlib.Path) -> dict[str, float]:
    command = [sys.executable, __file__, f"--child={folder}", f"--new={_NEW.value}"]
    command.append(f"--models={','.join(_MEMBERS.value)}")
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main(_: list[str]) -> None:
    if _CHILD.value:
        return child(_CHILD.value)
    from moco_jax.analysis.bench_page import Section, publish, table_of
    from moco_jax.testing import timing

    found: dict[str, list[dict[str, float]]] = {"cold": [], "warm": []}
    for _ in range(1 if _QUICK.value else _REPEATS.value):
        with tempfile.TemporaryDirectory() as folder:
            for kind in found:
                found[kind].append(start(pathlib.Path(folder)))
    rows = [
        {"start": kind} | {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        for kind, runs in found.items()
    ]
    print(publish([Section("startup", table_of(rows), timing.machine())], _JSON.value))


if __name__ == "__main__":
    app.run(main)
