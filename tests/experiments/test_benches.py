"""Every benchmark runs, prints its tables and leaves files that the page has places for."""

import os
import pathlib
import subprocess
import sys

import pytest

from moco_jax.analysis.bench_page import fill, read

ROOT = pathlib.Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "performance.md"
CACHE = ROOT / ".cache" / "jax"

WITHOUT_TORCH = {
    "bench_roofline": ["--notorch", "--repeats=1"],
    "bench_bank": ["--repeats=1", "--new=4"],
    "bench_growth": ["--repeats=1", "--new=4", "--axes=rows"],
    "bench_sweep": ["--methods=best_on_dev,random_member"],
    "bench_startup": ["--new=4", "--models=tiny:math"],
}
WITH_TORCH = {
    "bench_single": ["--repeats=1"],
    "bench_joint": ["--repeats=1", "--new=4"],
    "bench_products": ["--repeats=1"],
}


def run(name: str, settings: list[str], folder: pathlib.Path) -> None:
    """Runs a benchmark in its quick form and fills its tables in."""
    out = folder / f"{name}.json"
    script = ROOT / "experiments" / f"{name}.py"
    done = subprocess.run(
        [sys.executable, str(script), "--quick", f"--json={out}", *settings],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"JAX_COMPILATION_CACHE_DIR": str(CACHE), "JAX_PLATFORMS": "cpu"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    sections = read(out)
    page = fill(PAGE.read_text(), sections)
    for section in sections:
        assert section.name in done.stdout
        assert " | ".join(section.table.columns)[:10] in page


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_benches_without_torch(name, tmp_path):
    run(name, WITHOUT_TORCH[name], tmp_path)


@pytest.mark.parity
@pytest.mark.parametrize("name", WITH_TORCH)
def test_benches_against_torch(name, tmp_path):
    pytest.importorskip("torch")
    run(name, WITH_TORCH[name], tmp_path)
