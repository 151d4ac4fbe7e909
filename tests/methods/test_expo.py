"""ExPO: which two ends, how far, by script."""

import jax
import numpy as np
import pytest

from moco_jax import testing
from moco_jax.method import NeedsError
from moco_jax.methods import HyperparameterError, make_method
from moco_jax.methods.weight.expo import extrapolate
from moco_jax.pool import Pool

POOL = testing.dummy_pool(4)
TASK = testing.dummy_task("multiple_choice", 6)
SCORES = {"dummy:0": 3, "dummy:1": 5, "dummy:2": 1, "dummy:3": 4}


def fit(settings, scores=SCORES, pool=POOL):
    """`scores`: name -> how many of the 6 dev items it gets right; others get what "" says."""

    def answer(name, request):
        index = int(request.item.split("/")[1])
        return "ABC"[index % 3] if index < scores.get(name, scores.get("", 0)) else "none"

    engine = testing.ScriptedEngine(answer)
    bench = testing.workbench(pool, TASK.dev, engine=engine)
    system = make_method("weight_expo", settings).fit(bench)
    return system, dict(system.notes), engine


def weight(member):
    return np.asarray(member.params["lm_head"]["kernel"], float)


def beyond(target, source, alpha):
    return target + alpha * (target - source)


def same(member, wanted):
    np.testing.assert_allclose(weight(member), wanted, rtol=1e-5, atol=1e-5)


def test_goes_from_the_worst_beyond_the_best():
    system, notes, _ = fit({"alpha": 0.3})
    same(system.member, beyond(weight(POOL[1]), weight(POOL[2]), 0.3))
    assert (notes["source_model"], notes["target_model"]) == ("dummy:2", "dummy:1")
    assert (notes["method"], notes["mode"], notes["alpha"]) == ("expo", "worst_to_best", 0.3)
    assert notes["model_scores"] == {name: right / 6 for name, right in SCORES.items()}


@pytest.mark.parametrize("k", [2, 9])
def test_means_of_the_best_and_the_worst(k):
    system, _, _ = fit({"mode": "topk_bottomk", "k": k, "alpha": 0.5})
    best, worst = (weight(POOL[a]) + weight(POOL[b]) for a, b in ((1, 3), (0, 2)))
    same(system.member, beyond(best / 2, worst / 2, 0.5))


def test_a_single_pair_needs_no_dev_pass():
    system, notes, engine = fit({"mode": "pairs"}, pool=Pool(POOL.members[:2]))
    same(system.member, beyond(weight(POOL[1]), weight(POOL[0]), 0.3))
    assert not engine.asked and "model_scores" not in notes


@pytest.mark.parametrize(
    ("selection", "pair"), [("dpo_score", (0, 1)), ("improvement", (2, 3)), ("sft_score", (0, 1))]
)
def test_of_several_pairs_one_is_chosen(selection, pair):
    system, notes, _ = fit({"mode": "pairs", "pair_selection": selection})
    source, target = (POOL[index] for index in pair)
    same(system.member, beyond(weight(target), weight(source), 0.3))
    assert notes["pair_scores"]["dummy:3"] == 4 / 6


def test_named_pairs_may_lie_outside_the_pool(tmp_path):
    POOL[3].save(tmp_path / "aligned")
    settings = {"sft_models": ["dummy:0"], "dpo_models": [str(tmp_path / "aligned")]}
    system, _, _ = fit({"mode": "pairs", **settings})
    same(system.member, beyond(weight(POOL[3]), weight(POOL[0]), 0.3))


def test_the_first_of_the_best_alphas_is_taken():
    scores = {**SCORES, "expo(dummy:2->dummy:1,0.2)": 6, "expo(dummy:2->dummy:1,0.4)": 6}
    system, notes, engine = fit({"alpha_mode": "optimized"}, scores)
    assert notes["alpha"] == 0.2
    assert notes["alpha_scores"]["0.0"] == 5 / 6
    same(system.member, beyond(weight(POOL[1]), weight(POOL[2]), 0.2))
    # One candidate stands in memory at a time
    assert engine.calls[-6:] == [len(TASK.dev)] * 6


def test_where_nothing_beyond_is_better_the_target_stays():
    system, notes, _ = fit({"alpha_mode": "optimized"}, {**SCORES, "": 5})
    assert notes["alpha"] == 0.0 and system.member is POOL[1]
    _, notes, _ = fit({"alpha_mode": "optimized", "allow_zero": False}, {**SCORES, "": 2})
    assert notes["alpha"] == 0.1


def test_extrapolation_is_in_float32():
    source, target = POOL[0], POOL[1]
    for alpha in (0.0, 0.5):
        made = extrapolate(source, target, alpha)
        for leaf, t, s in zip(
            *(jax.tree.leaves(member.params) for member in (made, target, source)), strict=True
        ):
            wanted = beyond(np.asarray(t, float), np.asarray(s, float), alpha)
            np.testing.assert_allclose(leaf, wanted, rtol=1e-5, atol=1e-5)


def test_what_cannot_be_is_named():
    with pytest.raises(HyperparameterError, match="sft_models lists 1 models and dpo_models 0"):
        make_method("weight_expo", {"sft_models": ["a"]})
    with pytest.raises(HyperparameterError, match="alpha_candidates is empty"):
        make_method("weight_expo", {"alpha_candidates": []})
    with pytest.raises(NeedsError, match="it has 3 members"):
        testing.check(make_method("weight_expo", {"mode": "pairs"}), Pool(POOL.members[:3]), TASK)
