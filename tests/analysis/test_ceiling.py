import pytest

from moco_jax.analysis.ceiling import ceiling, emergence


def test_bounds_of_a_pool() -> None:
    found = ceiling({"a": [1, 0, 0, 0.5], "b": [1, 1, 0, 0]})
    assert found.oracle == pytest.approx((1 + 1 + 0 + 0.5) / 4)
    assert (found.hindsight, found.hindsight_score) == ("b", 0.5)
    assert (found.some, found.all) == (0.5, 0.25)


def test_seeds_are_averaged_after_the_best_is_taken() -> None:
    found = ceiling({"a": [[1, 0], [0, 0]], "b": [[0, 0], [1, 0]]})
    assert found.oracle == 0.5
    assert found.hindsight_score == 0.25


def test_ties_go_to_the_earlier_member() -> None:
    assert ceiling({"b": [1, 0], "a": [0, 1]}).hindsight == "b"


def test_emergence_counts_what_no_member_solves() -> None:
    assert emergence([1, 1, 0, 1], {"a": [1, 0, 0, 0], "b": [0, 0, 0, 0.5]}) == (2, 3)


@pytest.mark.parametrize("members", [{}, {"a": []}, {"a": [1], "b": [1, 0]}])
def test_scores_must_be_on_the_same_items(members: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match="same items"):
        ceiling(members)
