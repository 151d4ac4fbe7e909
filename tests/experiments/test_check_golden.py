import importlib.util
import json
import pathlib

import pytest
from absl import flags

from moco_jax import Sampling, run
from moco_jax.runs.directory import RESPONSES

ROOT = pathlib.Path(__file__).parent.parent.parent
GOLDEN = ROOT / "tests" / "golden" / "answers.json"


@pytest.fixture
def golden():
    before = set(flags.FLAGS)
    path = ROOT / "experiments" / "check_golden.py"
    spec = importlib.util.spec_from_file_location("check_golden", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    for name in set(flags.FLAGS) - before:
        delattr(flags.FLAGS, name)


@pytest.fixture
def folder(tmp_path):
    rows = [{"input": f"{number} + 1 = ?", "output": str(number + 1)} for number in range(3)]
    task = tmp_path / "sums.json"
    task.write_text(json.dumps({"task_type": "exact_match", "dev": rows, "test": rows}))
    sampling = Sampling(max_new_tokens=8)
    for seed in (1, 2):
        run(
            "best_on_dev",
            ["tiny:math"],
            str(task),
            sampling=sampling,
            seed=seed,
            out=tmp_path / "a",
        )
    return tmp_path


def test_every_run_has_a_digest_by_pool_method_task_and_seed(golden, folder):
    found = golden.digests(folder)
    assert list(found) == ["tiny:math best_on_dev sums 1", "tiny:math best_on_dev sums 2"]
    assert golden.digests(folder / "a") == found
    assert golden.differences(found, found) == []


@pytest.mark.parametrize("field", ["response", "reasoning", "finish", "score"])
def test_another_answer_is_another_digest(golden, folder, field):
    kept = golden.digests(folder)
    path = next((folder / "a").glob(f"*/{RESPONSES}"))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[1][field] = "other"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (line,) = golden.differences(kept, golden.digests(folder))
    assert line.startswith("answers otherwise: tiny:math best_on_dev sums")


def test_runs_that_are_missing_or_new_are_said(golden):
    assert golden.differences({"a": "1"}, {"b": "2"}) == ["missing: a", "not kept: b"]


def test_the_demo_and_the_comparison_have_digests():
    kept = json.loads(GOLDEN.read_text())
    assert len(kept["demo"]) >= 32 and len(kept["comparison"]) >= 200
