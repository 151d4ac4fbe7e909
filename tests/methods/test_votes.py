"""Voting against brute force."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from moco_jax import testing
from moco_jax.methods.text.majority_vote import OPEN_ANSWERS, vote_weight
from moco_jax.methods.votes import chance, first_voter, leaders, tally, vote_of

ITEM = testing.dummy_task("exact_match").test.items[0]


def test_unparsed_votes_are_not_counted():
    assert tally([None, "a", None, "b", "a"]) == {"a": 2.0, "b": 1.0}
    assert leaders(tally([None, None])) == []


@pytest.mark.parametrize("votes", itertools.product(["a", "b", "c", None], repeat=4))
def test_leaders_equal_brute_force(votes):
    counts = Counter(vote for vote in votes if vote is not None)
    wanted = {vote for vote in counts if counts[vote] == max(counts.values())}
    assert set(leaders(tally(votes))) == wanted


def test_weights_outvote_numbers():
    assert leaders(tally(["a", "b", "b"], [2.5, 1.0, 1.0])) == ["a"]
    assert leaders(tally(["a", "b", "b"], [2.0, 1.0, 1.0])) == ["a", "b"]


def test_one_spelling_per_value():
    texts = ["\\boxed{42}", "The answer is 42.", "42"]
    assert {vote_of(ITEM, text) for text in texts} == {vote_of(ITEM, "42")}
    assert vote_of(ITEM, "") is None


def test_first_voter_follows_the_order():
    votes = ["a", "b", "a", None]
    assert first_voter(votes, ["a"], [3, 2, 1, 0]) == 2
    assert first_voter(votes, [], [3, 2, 1, 0]) == 3


def test_chance_depends_on_seed_method_and_item_alone():
    draws = {
        (seed, method, item): chance(seed, method, item).integers(1 << 40)
        for seed in (0, 1)
        for method in ("x", "y")
        for item in ("test/0", "test/1")
    }
    assert len(set(draws.values())) == 8
    assert draws[0, "x", "test/1"] == chance(0, "x", "test/1").integers(1 << 40)


def test_log_odds_weights_are_the_best_possible():
    # Of all ways to side with one of two disagreeing groups, likelihood decides as the weights do
    accuracies = [0.9, 0.6, 0.55]
    for votes in itertools.product("AB", repeat=3):
        likely = {
            truth: math.prod(
                p if vote == truth else 1 - p for p, vote in zip(accuracies, votes, strict=True)
            )
            for truth in "AB"
        }
        counts = tally(votes, [vote_weight(p, 2) for p in accuracies])
        assert leaders(counts)[0] == max(likely, key=likely.get)


def test_guessing_weighs_nothing():
    assert vote_weight(0.25, 4) == pytest.approx(0)
    assert vote_weight(0.1, 4) == 0
    assert vote_weight(0.5, 0) == pytest.approx(np.log(OPEN_ANSWERS - 1))
