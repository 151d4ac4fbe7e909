import csv
import io
import pathlib
from collections.abc import Callable

import pytest

from moco_jax.analysis import summary
from moco_jax.analysis.benches import Bench, sort_out
from moco_jax.analysis.load import load_runs

MISSING = [summary.NotRun("sums", "weight_soup", "needs | one architecture")]


@pytest.fixture
def benches(make_run: Callable[..., pathlib.Path], tmp_path: pathlib.Path) -> list[Bench]:
    for seed in (1, 2):
        make_run("text_vote", seed=seed)
    make_run("api_cascade", seed=1)
    return sort_out(load_runs(tmp_path / "runs"))


@pytest.mark.parametrize("form", ["text", "markdown", "csv", "latex"])
def test_every_method_is_in_every_format(benches: list[Bench], form: str) -> None:
    shown = summary.render(benches, form, MISSING).replace("\\", "")
    for word in ("text_vote", "api_cascade", "weight_soup", "one architecture"):
        assert word in shown


def test_csv_is_for_programs(benches: list[Bench]) -> None:
    rows = list(csv.DictReader(io.StringIO(summary.render(benches, "csv", MISSING))))
    by_method = {row["method"]: row for row in rows}
    assert 0 <= float(by_method["text_vote"]["score"]) <= 1
    assert float(by_method["text_vote"]["spread"]) >= 0
    assert by_method["api_cascade"]["spread"] == ""
    assert float(by_method["api_cascade"]["seconds"]) == pytest.approx(0.1 + 40 * 0.01)
    assert float(by_method["api_cascade"]["flops_per_correct"]) > 1e9
    assert by_method["weight_soup"]["score"] == ""
    assert by_method["weight_soup"]["not_run_because"] == "needs | one architecture"


def test_spread_is_shown_over_seeds_only(benches: list[Bench]) -> None:
    lines = summary.render(benches, "text").splitlines()
    assert "±" in next(line for line in lines if "text_vote" in line)
    assert "±" not in next(line for line in lines if "api_cascade" in line)


def test_headline_and_footnote(benches: list[Bench]) -> None:
    assert summary.headline(benches[0]).startswith("sums: 40 items, seeds 1, 2, pool tiny:math")
    assert "best single" in summary.footnote(benches[0])


def test_unbounded_scores_are_not_called_solved(benches: list[Bench]) -> None:
    assert "some member solves" in summary.footnote(benches[0])
    for row in benches[0].first.answers:
        row["outcome"] = "scored"
    assert "solves" not in summary.footnote(benches[0])
    assert "the best member's answer to each item" in summary.footnote(benches[0])
