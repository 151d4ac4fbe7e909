"""Many runs in one table."""

import json
import math

import pytest
import toy_methods

from moco_jax import testing
from moco_jax.analysis.sweep import Row, compare
from moco_jax.runs import RunConfig, load_system, run


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
