"""Intervals: coverage, pairing, clusters, and honesty about tiny samples."""

import itertools

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


def coin_flips(wins, losses):
    """Two-sided p by counting every outcome of a fair coin."""
    total, seen = wins + losses, abs(wins - losses)
    splits = (sum(flips) for flips in itertools.product((-1, 1), repeat=total))
    return sum(abs(split) >= seen for split in splits) / 2**total


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (1, 0), (5, 0), (7, 2), (6, 6), (1, 9)])
def test_mcnemar_counts_every_coin_flip(wins, losses):
    ours = [1.0] * wins + [0.0] * losses + [1.0, 0.0] * 4
    theirs = [0.0] * wins + [1.0] * losses + [1.0, 0.0] * 4
    found = statistics.mcnemar(ours, theirs)
    assert (found.ours_only, found.theirs_only) == (wins, losses)
    assert found.p == pytest.approx(coin_flips(wins, losses))
    assert statistics.sign_test(ours, theirs) == found.p
    assert statistics.mcnemar(theirs, ours).p == found.p


def test_mcnemar_refuses_what_is_not_right_or_wrong():
    with pytest.raises(ValueError, match="sign_test"):
        statistics.mcnemar([0.5, 1.0], [0.0, 1.0])
    with pytest.raises(ValueError, match="cannot be paired"):
        statistics.mcnemar([1.0], [1.0, 0.0])


def test_the_sign_test_counts_clusters_not_their_items():
    ours, theirs = [1.0] * 12, [0.0] * 12
    groups = [str(row // 4) for row in range(12)]
    assert statistics.sign_test(ours, theirs) == pytest.approx(2 / 2**12)
    assert statistics.sign_test(ours, theirs, groups) == pytest.approx(2 / 2**3)


@pytest.mark.parametrize("groups", [None, ["a", "a", "b", "c", "d"]])
def test_the_paired_bootstrap_is_the_distribution_over_every_resample(groups):
    ours = np.array([1.0, 0.2, 0.9, -3.0, 4.0])
    theirs = np.array([0.0, 0.4, 0.1, 1.0, 2.5])
    sums, sizes = statistics.clusters(ours - theirs, groups or [None] * 5)
    draws = itertools.product(range(len(sums)), repeat=len(sums))
    means = [sums[list(draw)].sum() / sizes[list(draw)].sum() for draw in draws]
    low, high = np.quantile(means, [0.025, 0.975])
    found = statistics.difference_interval(ours, theirs, groups, draws=40_000)
    assert found.mean == pytest.approx(np.mean(ours - theirs))
    # The exact distribution is discrete: a quantile may fall on a neighbouring value
    step = np.diff(np.unique(np.round(means, 9))).max()
    assert abs(found.low - low) <= step
    assert abs(found.high - high) <= step


def test_a_large_sample_s_interval_is_the_normal_one():
    scores = np.random.default_rng(4).normal(3.0, 2.0, 2000)
    found = statistics.mean_interval(scores)
    width = 1.959964 * scores.std() / np.sqrt(len(scores))
    assert found.low == pytest.approx(scores.mean() - width, abs=0.05 * width)
    assert found.high == pytest.approx(scores.mean() + width, abs=0.05 * width)


def test_many_right_or_wrong_answers_have_the_binomial_interval():
    scores = np.array([1.0] * 700 + [0.0] * 300)
    found = statistics.mean_interval(scores)
    width = 1.959964 * np.sqrt(0.7 * 0.3 / 1000)
    assert found.low == pytest.approx(0.7 - width, abs=0.002)
    assert found.high == pytest.approx(0.7 + width, abs=0.002)
