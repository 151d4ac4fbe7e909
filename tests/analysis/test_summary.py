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


def test_helpers_alone_stand_beside_the_pool(
    make_run: Callable[..., pathlib.Path], tmp_path: pathlib.Path
) -> None:
    helpers = {"selector": "tiny:large", "fuser": "tiny:math"}
    for seed in (1, 2):
        make_run("api_switch", seed=seed, right=0.5, helpers=helpers, helping=1.0)
        make_run("text_vote", seed=seed, right=0.9)
    (bench,) = sort_out(load_runs(tmp_path / "runs"))
    assert bench.members == ["tiny:math", "tiny:words", "tiny:facts"]
    (large,) = bench.helpers
    assert (large.name, large.roles, len(large.rows)) == ("tiny:large", ("selector",), 2)
    mean = sum(large.values) / len(large.values)
    rows = {line.split("  ")[0]: line for line in summary.footnote(bench).splitlines()}
    assert f"helpers alone: tiny:large (selector) {mean:.3f}" in "\n".join(rows)
    switch = next(one for one in bench.standings if one.contender.label == "api_switch")
    assert switch.rival is not None
    assert (switch.rival.role, switch.rival.verdict) == ("selector", "loses to")
    assert switch.rival.score == pytest.approx(mean)
    assert switch.rival.difference.mean == pytest.approx(switch.score.mean - mean)
    said = f"api_switch {switch.score.mean:.3f} vs its selector tiny:large alone {mean:.3f}"
    assert said in summary.footnote(bench)
    for form in ("text", "markdown", "latex"):
        shown = summary.render([bench], form).replace("\\", "").replace("&lt;", "<")
        assert "tiny:large alone (selector)" in shown
        assert "< selector" in shown.replace("textless{}", "<")
    table = summary.shown_table([bench])
    marked = [row[2] for row in table.rows if "selector" in row[6]]
    assert marked == ["api_switch"]
    assert "≈ selector" in summary.legend([bench])
    by_method = {
        row["method"]: row for row in csv.DictReader(io.StringIO(summary.render([bench], "csv")))
    }
    assert set(by_method) == {"api_switch", "text_vote"}
    assert by_method["api_switch"]["helper"] == "tiny:large"
    assert float(by_method["api_switch"]["to_helper_high"]) < 0
    assert by_method["text_vote"]["helper"] == ""


def test_a_helper_that_is_beaten_is_not_pointed_at(
    make_run: Callable[..., pathlib.Path], tmp_path: pathlib.Path
) -> None:
    make_run("api_switch", right=1.0, helpers={"selector": "tiny:large"}, helping=0.3)
    (bench,) = sort_out(load_runs(tmp_path / "runs"))
    assert "helpers alone: tiny:large (selector)" in summary.footnote(bench)
    assert "vs its selector" not in summary.footnote(bench)
    assert summary.legend([bench]) == summary.LEGEND


def test_dev_and_test_are_not_decoded_alike_and_the_footnote_says_so(benches: list[Bench]) -> None:
    result = benches[0].first.result
    said = f"best single on dev: tiny:math ({result.best_single.dev:.3f} on dev, greedy; test "
    assert said + f"sampled at T=0.7, {result.best_single_greedy:.3f} greedy)" in (
        summary.footnote(benches[0])
    )
