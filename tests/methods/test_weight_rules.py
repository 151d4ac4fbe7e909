"""Methods that merge by one rule: their members, their base, their settings, and the search."""

import jax
import numpy as np
import pytest

from moco_jax import testing
from moco_jax.method import NeedsError
from moco_jax.methods import HyperparameterError, make_method
from moco_jax.pool import Pool

POOL = testing.dummy_pool(3)
TASK = testing.dummy_task("multiple_choice", 6)
BASED = {"base_model": "dummy:0"}


def fit(name, settings, answer=lambda name, request: "A", pool=POOL, seed=0):
    engine = testing.ScriptedEngine(answer)
    bench = testing.workbench(pool, TASK.dev, engine=engine, seed=seed)
    return make_method(name, settings).fit(bench), engine


def leaf(member):
    return np.asarray(member.params["lm_head"]["kernel"], float)


def test_the_base_is_not_merged_itself():
    settings = {**BASED, "lambda_": 0.5}
    system, engine = fit("weight_task_arithmetic", settings)
    base, one, two = map(leaf, POOL)
    wanted = base + 0.5 * (one - base + two - base)
    np.testing.assert_allclose(leaf(system.member), wanted, rtol=1e-5, atol=1e-5)
    assert dict(system.notes)["members"] == ["dummy:1", "dummy:2"]
    assert not engine.asked


def test_a_base_outside_the_pool(tmp_path):
    POOL[0].save(tmp_path / "base")
    outside = {"base_model": str(tmp_path / "base"), "density": 0.3}
    system, _ = fit("weight_ties", outside, pool=Pool(POOL.members[1:]))
    inside, _ = fit("weight_ties", {**BASED, "density": 0.3})
    np.testing.assert_allclose(leaf(system.member), leaf(inside.member), rtol=1e-6)


def test_the_base_by_another_name_is_not_merged_either(tmp_path):
    POOL[0].save(tmp_path / "base")
    system, _ = fit("weight_ties", {"base_model": str(tmp_path / "base"), "density": 0.3})
    assert dict(system.notes)["members"] == ["dummy:1", "dummy:2"]


def test_a_pool_of_the_base_alone_is_refused():
    with pytest.raises(NeedsError, match="holds only the base dummy:0"):
        testing.check(make_method("weight_dare", BASED), Pool([POOL[0], POOL[0]]), TASK)


def test_masks_follow_the_seed_and_only_they():
    once, again, other = (fit("weight_dare", BASED, seed=s)[0].member for s in (0, 0, 1))
    np.testing.assert_array_equal(leaf(once), leaf(again))
    assert once.identity == again.identity != other.identity
    assert np.abs(leaf(once) - leaf(other)).max() > 0.01


def test_settings_are_part_of_the_identity():
    first, _ = fit("weight_ties", BASED)
    second, _ = fit("weight_ties", {**BASED, "density": 0.21})
    assert first.identity != second.identity


def test_slerp_runs_over_the_layers_and_layerwise_is_linear():
    system, _ = fit("weight_slerp", {"t": [0.0, 1.0]}, pool=Pool(POOL.members[:2]))
    first = np.asarray(POOL[0].params["layers_0"]["mlp"]["up_proj"]["kernel"])
    got = np.asarray(system.member.params["layers_0"]["mlp"]["up_proj"]["kernel"])
    np.testing.assert_allclose(got, first, rtol=1e-5, atol=1e-6)
    points = {"coefficients": [[0.5, 0.5, 1.0], [0, 0, 0]], "outside": [0, 2, 0]}
    system, _ = fit("weight_layerwise", points)
    np.testing.assert_allclose(leaf(system.member), 2 * leaf(POOL[1]), rtol=1e-6)
    parts = [np.asarray(m.params["layers_0"]["mlp"]["up_proj"]["kernel"], float) for m in POOL]
    got = system.member.params["layers_0"]["mlp"]["up_proj"]["kernel"]
    wanted = 0.5 * parts[0] + 0.5 * parts[1] + parts[2]
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def test_dare_ties_at_density_one_is_sign_elected_task_arithmetic():
    settings = {"base_model_name": "dummy:0", "density": 1.0, "normalize": False}
    system, _ = fit("weight_dare_ties", settings)
    base, *others = map(leaf, POOL)
    pulls = np.stack([(other - base) / 2 for other in others])
    sign = np.where(pulls.sum(0) >= 0, 1, -1)
    wanted = base + np.where(np.sign(pulls) == sign, pulls, 0).sum(0)
    np.testing.assert_allclose(leaf(system.member), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("at_once", "calls"), [(None, [24] * 3), (3, [18, 6] * 3)])
def test_optimized_dare_ties_takes_the_weights_with_the_best_dev_score(at_once, calls):
    settings = {"base_model_name": "dummy:0", "mode": "optimized", "normalize": False}
    settings |= {"density": 1.0, "population": 4, "max_iterations": 3, "particles_at_once": at_once}
    seen = []

    def answer(name, request):
        # Every particle is asked for all items before the next one
        index = int(request.item.split("/")[1])
        if index == 0:
            seen.append(name)
        return "ABC"[index % 3] if index < len(seen) % 5 else "none"

    system, engine = fit("weight_dare_ties", settings, answer)
    notes = dict(system.notes)
    assert engine.calls == calls
    assert notes["dev_score"] == pytest.approx(4 / 6)
    np.testing.assert_allclose(sum(notes["best_weights"]), 1.0, rtol=1e-5)
    base, *others = map(leaf, POOL)
    pulls = np.stack([w * (o - base) for w, o in zip(notes["best_weights"], others, strict=True)])
    sign = np.where(pulls.sum(0) >= 0, 1, -1)
    wanted = base + np.where(np.sign(pulls) == sign, pulls, 0).sum(0)
    np.testing.assert_allclose(leaf(system.member), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["weight_average", "weight_karcher", "weight_layerwise"])
def test_equal_members_stay_what_they_are(name):
    curve = {"coefficients": [[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]]}
    settings = curve if name == "weight_layerwise" else {}
    system, _ = fit(name, settings, pool=Pool([POOL[0]] * 3))
    for got, wanted in zip(
        jax.tree.leaves(system.member.params), jax.tree.leaves(POOL[0].params), strict=True
    ):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "settings", "complaint"),
    [
        ("weight_ties", {}, "needs base_model"),
        ("weight_ties", {**BASED, "density": 0.0}, "weight_ties: density is 0"),
        ("weight_della", {**BASED, "epsilon": 0.7}, "weight_della: epsilon is 0.7"),
        ("weight_dare_ties", {}, "needs base_model_name"),
        ("weight_dare_ties", {"base_model_name": "x", "population": 1}, "population is 1"),
        ("weight_dare_ties", {"base_model_name": "x", "inertia": -1.0}, "inertia is -1"),
        ("weight_slerp", {"t": 1.5}, "t is 1.5"),
        ("weight_layerwise", {"coefficients": [[1.0], [1.0, 0.0]]}, "one number per member"),
        ("weight_layerwise", {}, "needs coefficients"),
        ("weight_layerwise", {"outside": [1.0, 0.0]}, "needs coefficients"),
    ],
)
def test_bad_settings_are_named(name, settings, complaint):
    with pytest.raises(HyperparameterError, match=complaint):
        make_method(name, settings)
