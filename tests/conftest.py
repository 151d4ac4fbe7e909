"""Fixtures every test may use; compiled programs are kept between test runs."""

import gc
import os
import pathlib

import jax
import pytest

CACHE = pathlib.Path(__file__).parent.parent / ".cache" / "jax"
SHARED = pathlib.Path(__file__).parent.parent.parent / "shared"
MOST_MAPS = 30_000

# Several processes may run tests on one accelerator; read when the first array is made.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


@pytest.fixture(scope="session")
def shared_dir() -> pathlib.Path:
    """The folder of reference datasets and golden outputs; tests that need it skip without it."""
    if not SHARED.exists():
        pytest.skip("the reference datasets and golden outputs are not on this machine")
    return SHARED


@pytest.fixture(autouse=True, scope="module")
def few_programs():
    """Drops compiled programs after a file of tests when the process holds very many.

    Each keeps some pages of memory mapped, Linux allows a process 65,530 maps, and XLA crashes when
    it gets no more.
    """
    yield
    maps = pathlib.Path("/proc/self/maps")
    if maps.exists() and len(maps.read_bytes().splitlines()) > MOST_MAPS:
        jax.clear_caches()
        gc.collect()
