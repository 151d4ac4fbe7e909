"""The soup: closed form, and which members go in, by script."""

import jax
import numpy as np

from moco_jax import testing
from moco_jax.methods import make_method
from moco_jax.methods.weight.greedy_soup import soup
from moco_jax.pool import Pool
from moco_jax.system import restore_system

POOL = testing.dummy_pool(3)
TASK = testing.dummy_task("multiple_choice", 6)


def fit(scores):
    """`scores`: name -> how many of the 6 dev items it gets right."""

    def answer(name, request):
        index = int(request.item.split("/")[1])
        return "ABC"[index % 3] if index < scores[name] else "none"

    engine = testing.ScriptedEngine(answer)
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    return make_method("weight_greedy_soup", {}).fit(bench), bench


def test_a_soup_is_the_numpy_mean():
    mixed = soup(POOL, [2, 0, 1])
    leaves = [jax.tree.leaves(member.params) for member in POOL]
    for leaf, *parts in zip(jax.tree.leaves(mixed.params), *leaves, strict=True):
        wanted = np.mean([np.asarray(part, np.float64) for part in parts], axis=0)
        np.testing.assert_allclose(leaf, wanted, rtol=1e-6, atol=1e-7)
        assert leaf.dtype == parts[0].dtype


def test_members_are_tried_best_first_and_equals_are_kept():
    scores = {
        "dummy:0": 2,
        "dummy:1": 4,
        "dummy:2": 3,
        "soup(dummy:1+dummy:2)": 4,
        "soup(dummy:1+dummy:2+dummy:0)": 3,
    }
    system, _ = fit(scores)
    notes = dict(system.notes)
    assert notes["selected_models"] == ["dummy:1", "dummy:2"]
    assert [(names, kept) for names, _, kept in notes["candidates"]] == [
        (["dummy:1"], True),
        (["dummy:1", "dummy:2"], True),
        (["dummy:1", "dummy:2", "dummy:0"], False),
    ]
    np.testing.assert_allclose([score for _, score, _ in notes["candidates"]], [4 / 6, 4 / 6, 0.5])
    wanted = np.mean([POOL[i].params["lm_head"]["kernel"] for i in (1, 2)], axis=0)
    np.testing.assert_allclose(system.member.params["lm_head"]["kernel"], wanted, rtol=1e-6)


def test_a_soup_of_one_is_the_member_itself():
    scores = {name: 1 for name in ("soup(dummy:0+dummy:1)", "soup(dummy:0+dummy:2)")}
    system, _ = fit({"dummy:0": 3, "dummy:1": 2, "dummy:2": 2, **scores})
    assert system.member is POOL[0]


def test_a_saved_soup_is_a_member_like_any_other(tmp_path):
    names = ("dummy:0", "dummy:1", "dummy:2", "soup(dummy:0+dummy:1)")
    system, _ = fit({name: 3 for name in (*names, "soup(dummy:0+dummy:1+dummy:2)")})
    system.save(tmp_path)
    (member,) = Pool.load([str(tmp_path / "model")])
    for ours, theirs in zip(
        jax.tree.leaves(member.params), jax.tree.leaves(system.member.params), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    restored = restore_system(tmp_path)
    assert restored.identity == restored.member.identity == system.member.identity
    assert restored.member.name == "soup(dummy:0+dummy:1+dummy:2)"
