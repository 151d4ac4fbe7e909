"""The vote, by script and against brute force."""

from collections import Counter

import numpy as np

from moco_jax import testing
from moco_jax.methods import make_method

POOL = testing.dummy_pool(4)
TASK = testing.dummy_task("multiple_choice", 6)


def run(votes, right=(1, 1, 1, 1), seed=0, **settings):
    """Answers [member] of one item; member i is right on `right[i]` of 6 dev items."""

    def answer(name, request):
        split, index = request.item.split("/")
        who, index = int(name[-1]), int(index)
        if split == "dev":
            return "ABC"[index % 3] if index < right[who] else "none"
        return votes[who]

    engine = testing.ScriptedEngine(answer)
    bench = testing.workbench(POOL, TASK.dev, engine=engine, seed=seed)
    system = make_method("text_majority_vote", settings).fit(bench)
    return system.respond(TASK.test.items[:1], bench)[0], engine


def test_the_most_frequent_answer_wins_whatever_its_spelling():
    response, engine = run(["A", "B", "(A)", "none at all"])
    assert response.text == "A"
    assert dict(response.notes) == {
        "chosen": "dummy:0",
        "votes": {"A": 2.0, "B": 1.0},
        "tied": False,
    }
    assert engine.calls == [4], "nothing is asked on dev"
    assert len(response.transcript) == 8


def test_no_answer_cannot_win():
    response, _ = run(["", "", "", "C"])
    assert response.text == "C"


def test_random_ties_are_fair_and_seeded():
    votes = ["A", "B", "C", ""]
    drawn = [run(votes, seed=seed)[0].text for seed in range(60)]
    assert drawn == [run(votes, seed=seed)[0].text for seed in range(60)]
    assert min(Counter(drawn)[letter] for letter in "ABC") > 8


def test_dev_based_ties_follow_the_best_tied_member():
    response, _ = run(["A", "B", "C", ""], right=(1, 3, 2, 6), tie="dev-based")
    assert response.text == "B"


def test_dev_weights_let_one_good_member_outvote_two_bad_ones():
    right = (0, 0, 6, 1)
    assert run(["A", "A", "B", ""], right)[0].text == "A"
    response, _ = run(["A", "A", "B", ""], right, weights="dev")
    assert response.text == "B"
    best = np.log(2 * (7 / 8) / (1 / 8))
    np.testing.assert_allclose(dict(response.notes)["votes"]["B"], best)
