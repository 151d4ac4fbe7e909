"""What a result says about a difference."""

import pytest

from moco_jax.runs.result import judge
from moco_jax.runs.statistics import Interval, difference_interval, differing_clusters


@pytest.mark.parametrize(
    ("interval", "differing", "verdict"),
    [
        (Interval(0.2, 0.1, 0.3), 20, "beats"),
        (Interval(0.2, -0.1, 0.5), 20, "within noise of"),
        (Interval(0.2, 0.0, 0.4), 20, "within noise of"),
        (Interval(-0.2, -0.3, -0.1), 20, "loses to"),
        (Interval(0.2, 0.1, 0.3), 5, "within noise of"),
    ],
)
def test_verdict(interval, differing, verdict):
    assert judge(interval, differing) == verdict


def test_four_wins_in_a_hundred_are_noise():
    ours, theirs = [1.0] * 100, [0.0] * 4 + [1.0] * 96
    assert difference_interval(ours, theirs).low > 0
    found = judge(difference_interval(ours, theirs), differing_clusters(ours, theirs))
    assert found == "within noise of"
