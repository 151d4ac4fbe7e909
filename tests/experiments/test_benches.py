"""Every benchmark runs, prints its tables and leaves files that the page has places for."""

import importlib.util
import pathlib

import pytest
from absl import flags

from moco_jax.analysis.bench_page import fill, read

ROOT = pathlib.Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "performance.md"

WITHOUT_TORCH = {
    "bench_roofline": ["--notorch", "--repeats=1"],
    "bench_bank": ["--repeats=1", "--new=4"],
    "bench_growth": ["--repeats=1", "--new=4", "--axes=rows"],
    "bench_sweep": ["--methods=best_on_dev,random_member"],
    "bench_startup": ["--new=4", "--models=tiny:math"],
    "bench_attention": ["--repeats=1", "--steps=2"],
}
WITH_TORCH = {
    "bench_single": ["--repeats=1"],
    "bench_joint": ["--repeats=1", "--new=4"],
    "bench_products": ["--repeats=1"],
}


@pytest.fixture
def run(tmp_path, capsys):
    """Runs a benchmark in its quick form, in this process, and fills its tables in.

    Each defines its flags when it is loaded; they are taken away after the test.
    """
    before = set(flags.FLAGS)

    def run_bench(name: str, settings: list[str]) -> None:
        out = tmp_path / f"{name}.json"
        spec = importlib.util.spec_from_file_location(name, ROOT / "experiments" / f"{name}.py")
        bench = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(bench)
        flags.FLAGS([name, "--quick", f"--json={out}", *settings])
        bench.main([name])
        said, sections = capsys.readouterr().out, read(out)
        page = fill(PAGE.read_text(), sections)
        assert sections
        for section in sections:
            assert section.name in said
            assert " | ".join(section.table.columns)[:10] in page

    yield run_bench
    for flag in set(flags.FLAGS) - before:
        delattr(flags.FLAGS, flag)
    flags.FLAGS.unparse_flags()


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_benches_without_torch(name, run):
    run(name, WITHOUT_TORCH[name])


@pytest.mark.parity
@pytest.mark.parametrize("name", WITH_TORCH)
def test_benches_against_torch(name, run):
    pytest.importorskip("torch")
    run(name, WITH_TORCH[name])
