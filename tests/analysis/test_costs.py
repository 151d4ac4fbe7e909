import dataclasses
import math
import pathlib
from collections.abc import Callable

import hypothesis
import pytest
from hypothesis import strategies as st

from moco_jax.analysis import costs, report
from moco_jax.analysis.benches import sort_out
from moco_jax.analysis.costs import Bill
from moco_jax.analysis.load import LoadedRun, load_runs
from moco_jax.runs.ledger import FIT, RESPOND


def a_bill(name: str, **numbers: float) -> Bill:
    plain = Bill(name, 10, 4.0, fit_seconds=2.0, seconds=6.0, fit_flops=20.0, flops=60.0)
    return dataclasses.replace(plain, **numbers)


@pytest.fixture
def run(make_run: Callable[..., pathlib.Path], tmp_path: pathlib.Path) -> LoadedRun:
    make_run(seconds=0.25, flops=3e8)
    return load_runs(tmp_path / "runs")[0]


def a_ledger(run: LoadedRun, *lines: tuple[str, float, float], **wall: float) -> LoadedRun:
    """The run with lines of (phase, seconds as if alone, seconds spent)."""
    made = [
        {"phase": phase, "attributed": {"seconds": alone}, "spent": {"seconds": spent}}
        for phase, alone, spent in lines
    ]
    return dataclasses.replace(run, ledger={"lines": made, "wall_seconds": wall})


def test_prices_count_fitting_and_answering() -> None:
    bill = a_bill("m")
    assert bill.total_seconds == 8.0
    assert bill.seconds_per_item == 0.6
    assert bill.flops_per_correct == 20.0
    assert bill.seconds_per_correct == 2.0
    assert a_bill("m", correct=0.0).flops_per_correct == math.inf


def test_a_bill_is_what_the_files_say(run: LoadedRun) -> None:
    (bench,) = sort_out([run])
    bill = costs.bill(bench.contenders[0])
    assert bill.items == 40
    assert bill.correct == sum(row["score"] for row in run.answers)
    # 40 answers of 0.25 s and 3e8 FLOPs; fitting took 0.1 s and 5e9 FLOPs.
    assert bill.seconds == pytest.approx(10.0)
    assert bill.flops == pytest.approx(40 * 3e8)
    assert bill.fit_seconds == pytest.approx(0.1)
    assert bill.fit_flops == pytest.approx(5e9)


def test_stored_answers_cost_what_they_cost_the_first_time(run: LoadedRun) -> None:
    replayed = a_ledger(run, (RESPOND, 7.0, 0.0), (FIT, 1.0, 0.0), respond=0.0)
    assert costs.seconds(replayed, RESPOND) == 7.0


def test_work_beside_the_members_is_counted(run: LoadedRun) -> None:
    """5 s of wall clock, 3 of them the members': 2 s went into something else."""
    merging = a_ledger(run, (FIT, 4.0, 1.0), (FIT, 2.0, 2.0), (RESPOND, 1.0, 1.0), fit=5.0)
    assert costs.seconds(merging, FIT) == 6.0 + 2.0
    assert costs.seconds(merging, RESPOND) == 1.0


def test_members_at_work_at_the_same_time_owe_nothing(run: LoadedRun) -> None:
    assert costs.seconds(a_ledger(run, (RESPOND, 6.0, 6.0), respond=4.0), RESPOND) == 6.0


def test_the_slowest_and_the_dearest_come_first() -> None:
    bills = [
        a_bill("a"),
        a_bill("b", seconds=1.0, correct=1.0),
        a_bill("c", fit_seconds=90.0, flops=10.0),
        a_bill("d", correct=0.0),
    ]
    assert [bill.name for bill in costs.slowest(bills)] == ["c", "a", "d", "b"]
    assert [bill.name for bill in costs.dearest(bills)] == ["d", "b", "a", "c"]
    assert [bill.name for bill in costs.dearest(bills, 2)] == ["d", "b"]


def test_the_frontier_by_hand() -> None:
    price, score = [1, 2, 2, 3, 4, 1], [0.3, 0.5, 0.6, 0.6, 0.9, 0.3]
    assert costs.frontier(price, score) == [0, 2, 4]
    assert costs.frontier([], []) == []


@hypothesis.given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), max_size=12))
def test_the_frontier_is_what_nobody_beats(points: list[tuple[int, int]]) -> None:
    found = costs.frontier([cost for cost, _ in points], [score for _, score in points])
    unbeaten = {
        (cost, score)
        for cost, score in points
        if not any(
            other_cost <= cost and other >= score and (other_cost, other) != (cost, score)
            for other_cost, other in points
        )
    }
    assert {points[place] for place in found} == unbeaten
    assert len(found) == len(unbeaten)


def test_the_report_lists_both(
    make_run: Callable[..., pathlib.Path], tmp_path: pathlib.Path
) -> None:
    for place in range(12):
        make_run(f"method_{place:02}", seconds=1.0 + place, flops=1e9 * (1 + place), right=0.5)
    source = report.html(sort_out(load_runs(tmp_path / "runs")))
    slow, dear = (
        source.split(title)[1].split("</table>")[0]
        for title in ("The ten slowest", "The ten most expensive per correct answer")
    )
    for table in (slow, dear):
        assert table.count("method_<wbr>") == 10
    shown = [slow.index(f"<wbr>{place:02}") for place in range(11, 1, -1)]
    assert shown == sorted(shown)
    assert "<wbr>01" not in slow
    assert "480" in slow


def test_one_method_needs_no_list(
    make_run: Callable[..., pathlib.Path], tmp_path: pathlib.Path
) -> None:
    make_run()
    assert "lowest" not in report.html(sort_out(load_runs(tmp_path / "runs"))).split("<main>")[1]
