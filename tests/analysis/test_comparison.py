import pathlib
from collections.abc import Callable

import numpy as np
import pytest

from moco_jax.analysis.benches import sort_out
from moco_jax.analysis.comparison import Contender, indistinguishable, sign_test, standings
from moco_jax.analysis.load import load_run, load_runs


def test_sign_test_is_mcnemar() -> None:
    # 8 items won and 2 lost: 2 * (1 + 10 + 45) / 2^10
    ours, theirs = [1] * 8 + [0] * 2 + [1] * 5, [0] * 8 + [1] * 2 + [1] * 5
    assert sign_test(ours, theirs) == pytest.approx(2 * 56 / 1024)
    assert sign_test(theirs, ours) == sign_test(ours, theirs)
    assert sign_test(ours, ours) == 1.0


def test_sign_test_counts_groups_once() -> None:
    ours, theirs = [1.0] * 12, [0.0] * 12
    assert sign_test(ours, theirs) == pytest.approx(2 / 2**12)
    assert sign_test(ours, theirs, ["a"] * 6 + ["b"] * 6) == pytest.approx(2 / 2**2)


def test_few_differences_are_noise_however_unanimous() -> None:
    ours = np.array([1.0] * 5 + [0.0] * 95)
    assert indistinguishable(ours, np.zeros(100))
    assert not indistinguishable(np.ones(100), np.zeros(100))


def test_standings_of_one_seed_are_those_of_the_run(make_run: Callable[..., pathlib.Path]) -> None:
    run = load_run(make_run(right=0.9))
    (standing,) = standings([Contender("vote", (run,))])
    assert standing.score.mean == pytest.approx(run.result.score)
    assert (standing.score.low, standing.score.high) == pytest.approx(run.result.interval)
    assert standing.difference.low == pytest.approx(run.result.difference.low)
    assert standing.verdict == run.result.verdict
    assert standing.tied


def test_only_clear_losers_are_told_from_the_leader(
    make_run: Callable[..., pathlib.Path], tmp_path: pathlib.Path
) -> None:
    for name, right in (("good", 0.95), ("nearly", 0.9), ("bad", 0.0)):
        make_run(name, right=right)
    (bench,) = sort_out(load_runs(tmp_path / "runs"))
    found = {standing.contender.label: standing for standing in bench.standings}
    assert [found[name].tied for name in ("good", "nearly", "bad")] == [True, True, False]
    assert found["bad"].verdict == "loses to"
    assert list(found)[-1] == "bad"


def test_seeds_are_one_contender(
    make_run: Callable[..., pathlib.Path], tmp_path: pathlib.Path
) -> None:
    for seed in (1, 2, 3):
        make_run("vote", seed=seed)
    make_run("vote", seed=1, hyperparameters={"samples": 8})
    make_run("vote", seed=9, members={"one": 0.5, "two": 0.5})
    benches = sort_out(load_runs(tmp_path / "runs"))
    assert sorted(len(bench.members) for bench in benches) == [2, 3]
    (three,) = [bench for bench in benches if len(bench.members) == 3]
    assert three.seeds == [1, 2, 3]
    labels = {contender.label: len(contender.runs) for contender in three.contenders}
    assert labels == {"vote": 3, "vote (samples=8)": 1}
