"""SLM-MUX: confidence, ties and the choice of members, by script and against brute force."""

import dataclasses
import itertools

import numpy as np
import pytest

from moco_jax import testing
from moco_jax.method import NeedsError
from moco_jax.methods import make_method
from moco_jax.methods.text.slm_mux import best_subset, stance

POOL = testing.dummy_pool(3)
TASK = testing.dummy_task("multiple_choice", 4)
ITEM = TASK.test.items[0]


def run(samples, dev=None, **settings):
    """Samples [member][sample] of one test item; `dev(name, request)` answers dev items."""

    def answer(name, request):
        if request.item.startswith("dev"):
            return dev(name, request) if dev else "none"
        return samples[int(name[-1])][request.sample]

    engine = testing.ScriptedEngine(answer)
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    system = make_method("text_slm_mux", {"samples_per_model": 3, **settings}).fit(bench)
    return system.respond(TASK.test.items[:1], bench)[0], engine


def test_the_most_consistent_member_answers():
    response, engine = run([["A", "B", "C"], ["C", "B", "(B)"], ["A", "", ""]])
    assert response.text == "B"
    assert response.speaker == "dummy:1"
    notes = dict(response.notes)
    np.testing.assert_allclose(notes["confidences"], [1 / 3, 2 / 3, 1 / 3])
    assert notes["answers"][1] == "B"
    assert engine.calls[-1] == 9, "all samples of all members in one batch"
    assert len(response.transcript) == 18


def test_samples_without_an_answer_count_against_a_member():
    # The reference would believe dummy:0, whose only readable answer agrees with itself
    response, _ = run([["A", "", ""], ["B", "B", "C"], ["", "", ""]])
    assert response.text == "B"


def test_ties_between_members():
    samples = [["A"] * 3, ["B"] * 3, ["C"] * 3]

    def dev(name, request):
        return "ABCA"[int(request.item[-1])] if name == "dummy:2" else "none"

    assert run(samples, dev)[0].text == "C"
    assert run(samples, dev, tie="model-order")[0].text == "A"
    drawn = {run(samples, tie="random", seed=seed)[0].text for seed in range(20)}
    assert drawn == {"A", "B", "C"}
    again = [run(samples, tie="random", seed=7)[0].text for _ in range(3)]
    assert len(set(again)) == 1


def test_ties_within_a_member_are_drawn():
    texts = ["A", "B", "none"]
    drawn = {stance(ITEM, texts, np.random.default_rng(seed)).answer for seed in range(20)}
    assert drawn == {"A", "B"}
    nothing = stance(ITEM, ["", ""], np.random.default_rng(0))
    assert (nothing.confidence, nothing.chosen, nothing.answer) == (0.0, 0, None)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_best_subset_equals_brute_force(size):
    rng = np.random.default_rng(size)
    values = rng.integers(0, 2, (12, 5)).astype(float)
    certain = rng.integers(0, 2, (12, 5)).astype(bool)
    worths = {}
    for members in itertools.combinations(range(5), size):
        worth = 0.0
        for item in range(12):
            right = [m for m in members if values[item, m] == 1]
            misleading = [m for m in members if certain[item, m] and values[item, m] == 0]
            worth += bool(right) - 0.5 * bool(right and misleading)
        worths[members] = worth
    found = best_subset(values, certain, size, 0.5)
    assert worths[found] == max(worths.values())


def test_select_subset_leaves_out_who_misleads():
    def dev(name, request):
        gold = "ABCA"[int(request.item[-1])]
        wrong = "B" if gold == "A" else "A"
        first_half = int(request.item[-1]) < 2
        return {
            "dummy:0": gold if first_half else "none",
            "dummy:1": wrong,
            "dummy:2": "none" if first_half else gold,
        }[name]

    response, engine = run([["A"] * 3, ["B"] * 3, ["C"] * 3], dev, select_subset=2, tie="random")
    assert dict(response.notes)["answers"] == ["A", "C"]
    assert engine.calls == [4 * 3 * 3, 2 * 3]


def test_a_subset_must_fit_the_pool():
    with pytest.raises(NeedsError, match="select_subset is 9; it must be at most 3"):
        testing.check(make_method("text_slm_mux", {"select_subset": 9}), POOL, TASK)


def test_a_subset_is_chosen_by_the_score_of_the_whole_split():
    bench = testing.workbench(POOL, TASK.dev, engine=testing.ScriptedEngine(lambda *_: "A"))
    asked = []
    scorer = bench.scorer
    bench = dataclasses.replace(
        bench, scorer=lambda rows, texts: asked.append(list(rows)) or scorer(rows, texts)
    )
    settings = {"select_subset": 2, "tie": "random", "samples_per_model": 2}
    make_method("text_slm_mux", settings).fit(bench)
    assert asked == [list(range(len(TASK.dev)))] * len(POOL)
