"""Fixtures every test may use; compiled programs are kept between test runs."""

import pathlib

import jax
import pytest

CACHE = pathlib.Path(__file__).parent.parent / ".cache" / "jax"
SHARED = pathlib.Path(__file__).parent.parent.parent / "shared"

jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


@pytest.fixture(scope="session")
def shared_dir() -> pathlib.Path:
    """The folder of reference datasets and golden outputs; tests that need it skip without it."""
    if not SHARED.exists():
        pytest.skip("the reference datasets and golden outputs are not on this machine")
    return SHARED
