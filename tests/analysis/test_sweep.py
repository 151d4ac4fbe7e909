"""Many runs in one table."""

import builtins
import dataclasses
import json
import math
import pathlib
from typing import ClassVar

import numpy as np
import pytest
import toy_methods

from moco_jax import testing
from moco_jax.analysis import summary
from moco_jax.analysis.benches import sort_out
from moco_jax.analysis.load import load_runs
from moco_jax.analysis.sweep import Row, compare
from moco_jax.methods.baseline.single_model import SingleModel
from moco_jax.runs import RunConfig, load_system, mean_interval, run


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return compare(
        [toy_methods.Solo, toy_methods.Relay(probes=1), toy_methods.Relay],
        testing.dummy_pool(1),
        [testing.dummy_task(size=6)],
        seeds=(1, 2),
        sampling=testing.SHORT,
        batch_size=8,
        out=tmp_path_factory.mktemp("runs"),
    )


def test_rows_come_in_order_and_say_why_a_method_could_not_run(table):
    assert [row.method for row in table.rows] == ["solo", "relay", "relay"]
    solo, *others = table.rows
    assert [result.seed for result in solo.results] == [1, 2]
    for row in others:
        assert row.results == ()
        assert "needs at least 2 members; the pool has 1" in row.reason
        assert math.isnan(row.mean)


def test_mean_and_spread_over_seeds(table):
    solo = table.rows[0]
    first, second = (result.score for result in solo.results)
    assert solo.mean == pytest.approx((first + second) / 2)
    assert solo.spread == pytest.approx(abs(first - second) / math.sqrt(2))
    assert math.isnan(Row("m", "t", solo.results[:1]).spread)


def test_dev_passes_are_paid_once(table):
    first, second = table.rows[0].results
    # The greedy passes of the second seed, on dev and of the best member on test, come from the
    # store, its own test answers do not.
    assert first.comparison_cost.spent.requests == 6 + 6
    assert second.comparison_cost.spent.requests == 0
    assert second.cost.spent.requests == 6


def test_a_ready_made_method_can_be_run_again_from_its_config(tmp_path):
    pool, task = testing.dummy_pool(2), testing.dummy_task(size=4)
    settings = {"sampling": testing.SHORT, "batch_size": 8, "out": tmp_path}
    (row,) = compare([toy_methods.Relay(probes=1)], pool, [task], **settings).rows
    (result,) = row.results
    config = RunConfig.from_json(result.directory / "config.json")
    assert config.hyperparameters == (("probes", 1),)
    assert load_system(result.directory, pool).system.probes == 1
    again = run(toy_methods.Relay, pool, task, hyperparameters={"probes": 1}, **settings)
    assert again.directory == result.directory


def test_the_table_prints_and_is_recorded(table):
    text = str(table)
    assert "best single on dev: dummy:0" in text
    assert "not run: relay on dummy_multiple_choice: relay needs at least 2 members" in text
    record = json.loads(json.dumps(table.to_record()))
    assert record[0]["mean"] == table.rows[0].mean
    assert record[1]["mean"] is None


def test_nothing_to_compare_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="at least one method"):
        compare([], testing.dummy_pool(1), [testing.dummy_task()], out=tmp_path)


def test_one_method_one_task_and_one_seed_need_no_list(tmp_path):
    pool, settings = testing.dummy_pool(1), {"sampling": testing.SHORT, "batch_size": 8}
    (row,) = compare(
        "single_model", pool, testing.dummy_task(size=4), 3, out=tmp_path, **settings
    ).rows
    assert (row.method, [result.seed for result in row.results]) == ("single_model", [3])
    with pytest.raises(ValueError, match="no_such_method"):
        compare("no_such_method", pool, testing.dummy_task(size=4), out=tmp_path)


@dataclasses.dataclass(frozen=True)
class Broken(toy_methods.Solo):
    """Works with some seeds only."""

    name: ClassVar[str] = "broken"

    kind: str = "TypeError"
    seeds: tuple[int, ...] = (2,)

    def fit(self, bench):
        if bench.seed in self.seeds:
            raise getattr(builtins, self.kind)("this is no number")
        return super().fit(bench)


@dataclasses.dataclass(frozen=True)
class Misused(toy_methods.Solo):
    """Its own code asks the library for what there is not."""

    name: ClassVar[str] = "misused"

    def fit(self, bench):
        return bench.pool.members.missing


def swept(methods, tmp_path, **settings):
    task = testing.dummy_task(size=4)
    pool = testing.dummy_pool(2)
    settings = {"seeds": (1, 2, 3), "out": tmp_path, "batch_size": 8, **settings}
    return compare(methods, pool, [task], sampling=testing.SHORT, **settings)


def line_of(text):
    return 1 + pathlib.Path(__file__).read_text().splitlines().index(text)


@pytest.mark.parametrize(
    "kind", ["TypeError", "ValueError", "MemoryError", "RuntimeError", "KeyError", "OSError"]
)
def test_a_failure_is_a_row_and_the_others_go_on(kind, tmp_path):
    table = swept([Broken(kind), toy_methods.Solo], tmp_path)
    broken, solo = table.rows
    assert [result.seed for result in broken.results] == [1, 3]
    assert [result.seed for result in solo.results] == [1, 2, 3]
    where = line_of('            raise getattr(builtins, self.kind)("this is no number")')
    assert broken.error.startswith(f"failed: {kind}: ")
    assert "this is no number" in broken.error
    assert broken.error.endswith(f"({__file__}:{where}), seed 2")
    assert (broken.reason, solo.error) == ("", "")
    assert f"broken on dummy_multiple_choice: {broken.error}" in str(table)
    assert table.to_record()[0]["error"] == broken.error
    # What was finished is found again, and what failed is tried again
    again = swept([Broken(kind), toy_methods.Solo], tmp_path)
    assert again.rows == table.rows


def test_a_failure_says_where_in_the_user_s_own_code(tmp_path):
    (row,) = swept([Misused], tmp_path, seeds=(1,)).rows
    where = line_of("        return bench.pool.members.missing")
    assert row.results == ()
    assert row.error.endswith(f"({__file__}:{where}), seed 1")


def test_the_first_failure_ends_a_sweep_where_asked(tmp_path):
    with pytest.raises(TypeError, match="this is no number"):
        swept([Broken(), toy_methods.Solo], tmp_path, fail_fast=True)
    assert not list(tmp_path.glob("solo*"))


@pytest.mark.parametrize("kind", ["KeyboardInterrupt", "SystemExit"])
def test_who_stops_a_sweep_stops_it(kind, tmp_path):
    with pytest.raises(getattr(builtins, kind)):
        swept([Broken(kind), toy_methods.Solo], tmp_path)


def test_an_automatic_batch_size_survives_a_broken_method(tmp_path):
    table = swept([Broken(seeds=(1, 2, 42)), toy_methods.Solo], tmp_path, batch_size="auto")
    assert [len(row.results) for row in table.rows] == [1, 3]


def test_what_is_not_run_is_said_before_anything_runs(tmp_path, caplog, monkeypatch):
    said = []
    fit = toy_methods.Solo.fit
    monkeypatch.setattr(
        toy_methods.Solo, "fit", lambda self, bench: said.append(caplog.text) or fit(self, bench)
    )
    swept([toy_methods.Solo, toy_methods.Relay(probes=1), SingleModel], tmp_path, seeds=(1,))
    (before,) = said
    assert "not run: single_model on dummy_multiple_choice: single_model takes at most 1" in before


def test_the_printed_table_pools_seeds(tmp_path):
    table = swept([toy_methods.Relay(probes=1)], tmp_path, seeds=(1, 2, 3, 4))
    scores = np.mean(
        [
            [json.loads(line)["score"] for line in path.read_text().splitlines()]
            for path in sorted(tmp_path.glob("relay*/responses.jsonl"))
        ],
        axis=0,
    )
    pooled = mean_interval(scores.tolist())
    (line,) = [line for line in str(table).splitlines() if " relay " in line]
    assert f"{pooled.mean:.3f}" in line
    assert f"[{pooled.low:.3f}, {pooled.high:.3f}]" in line
    # The rows of the command line
    shown = summary.render(sort_out(load_runs(tmp_path)), "text")
    assert str(table).startswith(shown)
