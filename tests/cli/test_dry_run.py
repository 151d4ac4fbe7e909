"""`--dry_run` from the command line."""

import pathlib
import re
from collections.abc import Callable

import pytest

from moco_jax.cli import dry_run
from moco_jax.methods import METHODS

Moco = Callable[..., tuple[int, str, str]]


def flags_of(models: list[str], task: str, out: pathlib.Path) -> list[str]:
    return [
        f"--models={','.join(models)}",
        f"--task={task}",
        f"--out={out}",
        "--max_new_tokens=4",
        "--compilation_cache=none",
        "--dry_run",
    ]


def test_run_says_what_it_would_take_and_leaves_nothing(
    moco: Moco, models: list[str], task_file: str, tmp_path: pathlib.Path
) -> None:
    out = tmp_path / "runs"
    code, shown, _ = moco(
        "run", "--method=text_majority_vote", "--batch_size=auto", *flags_of(models, task_file, out)
    )
    assert code == 0
    row = next(line for line in shown.splitlines() if line.startswith("text_majority_vote"))
    # Two members, eight questions, four tokens each
    assert row.split()[2] == "16"
    assert row.split()[4] == "64"
    assert "8 rows at a time" in shown
    assert "every answer has 4 tokens, or as many as it may" in shown
    assert re.search(r"GFLOP/s at 8 rows, measured now", shown)
    assert not out.exists()


def test_compare_plans_a_row_per_method_with_ranges_and_reasons(
    moco: Moco, models: list[str], task_file: str, tmp_path: pathlib.Path
) -> None:
    methods = "single_model,best_on_dev,api_cascade"
    code, shown, _ = moco(
        "compare",
        f"--methods={methods}",
        "--seeds=1,2",
        "--expected_tokens=2",
        *flags_of(models, task_file, tmp_path / "runs"),
    )
    assert code == 0
    assert "not planned: single_model on" in shown
    assert re.search(r"^api_cascade .* 16 - 24 ", shown, re.MULTILINE)
    assert "every answer has 2 tokens" in shown


@pytest.mark.parametrize("value", ["most", "0", "-3"])
def test_a_batch_size_that_is_none_is_refused(
    moco: Moco, models: list[str], task_file: str, tmp_path: pathlib.Path, value: str
) -> None:
    flags = flags_of(models, task_file, tmp_path / "runs")
    code, _, err = moco("run", "--method=best_on_dev", f"--batch_size={value}", *flags)
    assert code == 2
    assert "at least 1, or auto" in err


def test_times_are_for_people() -> None:
    said = [dry_run.duration(seconds) for seconds in (0.25, 80, 600, 7200, 400_000)]
    assert said == ["0.25 s", "80 s", "10 min", "2 h", "4.6 days"]


def test_compare_names_what_it_leaves_out(
    moco: Moco, models: list[str], task_file: str, tmp_path: pathlib.Path
) -> None:
    code, shown, _ = moco(
        "compare", "--methods=all", *flags_of(models, task_file, tmp_path / "runs")
    )
    assert code == 0
    rows = {line.split()[0] for line in shown.splitlines()}
    for method in METHODS:
        left_out = re.search(rf"^not planned: {method}\b.*: .+", shown, re.MULTILINE)
        assert (method in rows) != bool(left_out), method
    for method, field in (
        ("weight_ties", "base_model"),
        ("text_structure", "structure_type"),
        ("api_switch_generation", "selector_model_name"),
    ):
        assert f"not planned: {method}: {method} needs {field}" in shown
    assert "not planned: weight_lorahub on colours" in shown


def test_the_memory_of_helpers_is_counted(
    moco: Moco, models: list[str], task_file: str, tmp_path: pathlib.Path
) -> None:
    one, other = models

    def weights(model: str) -> str:
        flags = flags_of([one], task_file, tmp_path / "runs")
        setting = f"text_moa.aggregator_model={model}"
        code, shown, _ = moco("compare", "--methods=text_moa", "--set", setting, *flags)
        assert code == 0
        found = re.search(r"memory  weights ([\d.]+) ", shown)
        assert found is not None
        return found[1]

    assert float(weights(other)) == pytest.approx(2 * float(weights(one)), rel=0.1)
