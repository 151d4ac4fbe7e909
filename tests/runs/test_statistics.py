"""Intervals: coverage, pairing, clusters, and honesty about tiny samples."""

import numpy as np
import pytest

from moco_jax.runs import statistics


def test_interval_covers_the_true_mean_about_95_times_in_100():
    generator = np.random.default_rng(3)
    hits = 0
    for trial in range(200):
        scores = generator.random(60) < 0.6
        found = statistics.mean_interval(scores, draws=400, seed=trial)
        hits += found.low <= 0.6 <= found.high
    assert 0.88 <= hits / 200 <= 0.99


def test_same_seed_same_interval_and_chunks_change_nothing(monkeypatch):
    scores = np.random.default_rng(0).random(50)
    whole = statistics.mean_interval(scores, seed=5)
    monkeypatch.setattr(statistics, "CHUNK", 1000)
    assert statistics.mean_interval(scores, seed=5) == whole
    assert statistics.mean_interval(scores, seed=6) != whole


def test_pairing_narrows_the_interval_of_a_difference():
    generator = np.random.default_rng(1)
    theirs = generator.random(100) * 10
    ours = theirs + 0.1 + 0.01 * generator.standard_normal(100)
    found = statistics.difference_interval(ours, theirs)
    assert 0.09 < found.low < found.mean < found.high < 0.11


def test_copies_inside_a_cluster_do_not_add_certainty():
    generator = np.random.default_rng(2)
    scores = generator.random(40)
    copies = np.repeat(scores, 10)
    groups = [str(row) for row in np.repeat(np.arange(40), 10)]
    alone = statistics.mean_interval(scores)
    naive = statistics.mean_interval(copies)
    clustered = statistics.mean_interval(copies, groups)
    assert clustered.high - clustered.low == pytest.approx(alone.high - alone.low, rel=0.05)
    assert naive.high - naive.low < 0.5 * (clustered.high - clustered.low)


def test_a_group_named_like_a_row_is_not_that_row():
    sums, sizes = statistics.clusters(np.array([1.0, 2.0, 3.0]), [None, "0", "0"])
    assert sums.tolist() == [1.0, 5.0]
    assert sizes.tolist() == [1.0, 2.0]


def test_all_right_is_not_certainty():
    found = statistics.mean_interval([1.0] * 20)
    assert found.mean == found.high == 1.0
    assert found.low == pytest.approx(0.025 ** (1 / 20))
    assert statistics.mean_interval([0.0] * 20).high == pytest.approx(1 - 0.025 ** (1 / 20))


def test_differing_clusters_counts_those_that_differ_in_sum():
    ours, theirs = [1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 0.0]
    assert statistics.differing_clusters(ours, theirs) == 3
    assert statistics.differing_clusters(ours, theirs, ["a", "a", "b", "c"]) == 1


def test_errors_say_what_does_not_match():
    with pytest.raises(ValueError, match="at least one value"):
        statistics.mean_interval([])
    with pytest.raises(ValueError, match="one group per value"):
        statistics.mean_interval([1.0, 0.0], ["a"])
    with pytest.raises(ValueError, match="cannot be paired"):
        statistics.difference_interval([1.0], [1.0, 0.0])
