"""One of two processes of one run, and of one on a mesh of both.

Usage: python shared_run.py PORT INDEX FOLDER
"""

import pathlib
import sys

import jax

CACHE = pathlib.Path(__file__).parent.parent.parent / ".cache" / "jax"


def main(port: str, index: str, folder: str) -> None:
    """Runs, and prints what the result says here."""
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_compilation_cache_dir", str(CACHE))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    from moco_jax.runs.processes import join_processes

    join_processes(f"localhost:{port}", 2, int(index))

    import toy_methods

    from moco_jax import testing
    from moco_jax.runs import run

    pool, task = testing.dummy_pool(2), testing.dummy_task(size=6)
    settings = {"out": folder, "sampling": testing.SHORT, "batch_size": 4}
    first = run(toy_methods.Relay, pool, task, **settings)
    again = run(toy_methods.Relay, pool, task, **settings)
    # The same rows, dealt out over the two processes
    dealt = run(toy_methods.Relay, pool, task, mesh="data=2", **settings)
    print(f"DEALT {dealt.score} {dealt.directory}")
    print(f"RESULT {first.score} {again == first or index == '1'} {first.directory}")


if __name__ == "__main__":
    main(*sys.argv[1:])
