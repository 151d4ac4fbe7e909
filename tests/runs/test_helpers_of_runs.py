"""Helper models in runs: part of the identity by content, scored alone, counted in plans."""

import json

import pytest
import toy_methods

from moco_jax import testing
from moco_jax.method import NeedsError
from moco_jax.methods import make_method
from moco_jax.models.memory import Hardware
from moco_jax.pool import Member, Pool, inspect_all
from moco_jax.runs import run
from moco_jax.runs.config import RunConfig
from moco_jax.runs.members import Members
from moco_jax.runs.planning import plan as planning
from moco_jax.runs.planning.rates import Rates
from moco_jax.runs.planning.settle import DoesNotFit, settle

TASK = testing.dummy_task("multiple_choice", 4)
SETTINGS = {"sampling": testing.SHORT, "batch_size": 8}
NEEDED = {
    "api_switch_generation": {"selector_model_name": "{helper}", "patch_size": 2},
    "text_llm_blender": {"ranker_model_name": "{helper}", "fuser_model_name": "dummy:0"},
    "text_moa": {"aggregator_model": "{helper}"},
    "weight_average": {},
    "weight_ties": {"base_model": "{helper}"},
    "weight_expo": {"mode": "pairs", "sft_models": ["{helper}"], "dpo_models": ["dummy:0"]},
}


def settings_of(name, helper):
    return json.loads(json.dumps(NEEDED[name]).replace("{helper}", str(helper)))


@pytest.fixture
def helper(tmp_path):
    """A checkpoint beside the pool."""
    testing.dummy_member("any", 7).save(tmp_path / "helper")
    return tmp_path / "helper"


@pytest.fixture
def weights_read(monkeypatch):
    """Names of all checkpoints whose weights are read."""
    read = []
    load = Member.load.__func__

    def noted(cls, info, *args):
        read.append(info.name)
        return load(cls, info, *args)

    monkeypatch.setattr(Member, "load", classmethod(noted))
    return read


@pytest.mark.parametrize("name", [name for name in NEEDED if name != "weight_average"])
@pytest.mark.parametrize("loaded", [True, False], ids=["loaded", "named"])
def test_a_helper_that_changed_is_another_run(name, loaded, helper, tmp_path):
    pool = testing.dummy_pool(2)
    if not loaded:
        for member in pool:
            member.save(tmp_path / member.name)
        pool = [str(tmp_path / member.name) for member in pool]
    settings = settings_of(name, helper)
    if not loaded:
        settings = json.loads(json.dumps(settings).replace("dummy:0", pool[0]))

    def again():
        return run(name, pool, TASK, out=tmp_path / "runs", hyperparameters=settings, **SETTINGS)

    first = again()
    assert again() == first
    testing.dummy_member("any", 8).save(helper)
    changed = again()
    assert changed.directory != first.directory
    record = json.loads((changed.directory / "config.json").read_text())
    helpers = {one["name"]: one["identity"] for one in record["helpers"]}
    assert helpers[str(helper)] == testing.dummy_member("any", 8).identity
    # What was found the second time is what a fresh folder finds
    fresh = run(name, pool, TASK, out=tmp_path / "new", hyperparameters=settings, **SETTINGS)
    assert fresh.score == changed.score
    assert fresh.directory.name == changed.directory.name


def test_the_identity_of_a_helper_is_remembered_by_its_files(helper, tmp_path, weights_read):
    settings = {"hyperparameters": {"aggregator_model": str(helper)}, "out": tmp_path / "runs"}
    first = run("text_moa", testing.dummy_pool(2), TASK, **settings, **SETTINGS)
    assert weights_read == [str(helper)]
    assert run("text_moa", testing.dummy_pool(2), TASK, **settings, **SETTINGS) == first
    assert weights_read == [str(helper)]


@pytest.mark.parametrize("name", NEEDED)
def test_helpers_are_scored_alone_and_are_no_members(name, helper, tmp_path):
    settings = settings_of(name, helper)
    pool = testing.dummy_pool(2)
    result = run(name, pool, TASK, out=tmp_path, hyperparameters=settings, **SETTINGS)
    assert [member.name for member in result.members] == ["dummy:0", "dummy:1"]
    assert set(result.helpers) == set(make_method(name, settings).helpers())
    rows = result.directory / "helpers.jsonl"
    assert rows.exists() == any(one.name == str(helper) for one in result.helpers.values())
    if not rows.exists():
        return
    answers = [json.loads(line) for line in rows.read_text().splitlines()]
    assert [row["member"] for row in answers] == [str(helper)] * len(TASK.test)
    # What the same checkpoint answers and scores as a member of a pool of its own
    alone = run("single_model", [str(helper)], TASK, out=tmp_path / "alone", **SETTINGS)
    expected = (alone.directory / "responses.jsonl").read_text().splitlines()
    assert [row["response"] for row in answers] == [json.loads(x)["response"] for x in expected]
    (own,) = {one.test for one in result.helpers.values() if one.name == str(helper)}
    assert own == alone.score
    for one in result.helpers.values():
        assert one.difference.mean == pytest.approx(result.score - one.test)
        assert f"{one.test:.3f}, its " in str(result)
    ceiling = [max(member.test for member in result.members), 1.0]
    assert result.hindsight.test == ceiling[0] <= result.ceiling <= ceiling[1]


def test_a_helper_that_is_a_member_is_asked_once(tmp_path):
    pool = testing.dummy_pool(2)
    settings = {"aggregator_model": "dummy:1"}
    helped = run("text_moa", pool, TASK, out=tmp_path / "a", hyperparameters=settings, **SETTINGS)
    plain = run("text_moa", pool, TASK, out=tmp_path / "b", **SETTINGS)
    assert not (helped.directory / "helpers.jsonl").exists()
    assert helped.helpers["aggregator"].test == helped.members[1].test
    asked = [one.comparison_cost.attributed.requests for one in (helped, plain)]
    assert asked[0] == asked[1]
    assert plain.helpers == {}


def test_what_helpers_cost_alone_is_no_cost_of_the_method(helper, tmp_path):
    pool, settings = testing.dummy_pool(2), {"aggregator_model": str(helper)}
    result = run("text_moa", pool, TASK, out=tmp_path, hyperparameters=settings, **SETTINGS)
    # Two members and the helper on test, two members on dev, and the best greedily on test
    assert result.comparison_cost.attributed.requests == (3 + 2 + 1) * len(TASK.test)
    assert result.cost.attributed.requests == 3 * len(TASK.test)


def test_a_method_that_hides_a_helper_is_refused(helper, tmp_path):
    class Hiding(toy_methods.Solo):
        def fit(self, bench):
            bench.pool.find(str(helper))
            return super().fit(bench)

    with pytest.raises(ValueError, match=r"name it in the method's helpers\(\)"):
        run(Hiding, testing.dummy_pool(2), TASK, out=tmp_path, **SETTINGS)


def test_a_pool_s_helper_is_checked_before_weights_are_read(tmp_path, weights_read):
    testing.dummy_member("wide", 1, hidden_size=24).save(tmp_path / "wide")
    for member in testing.dummy_pool(2):
        member.save(tmp_path / member.name)
    pool = [str(tmp_path / f"dummy:{place}") for place in range(2)]
    for base, reason in ((tmp_path / "wide", "hidden_size 24"), ("/no/such", "base_model is '/no")):
        with pytest.raises(NeedsError, match=reason):
            settings = {"base_model": str(base)}
            run("weight_ties", pool, TASK, out=tmp_path, hyperparameters=settings, **SETTINGS)
    assert weights_read == []


def setting_of(infos):
    return planning.Setting(infos, "float32", Rates(1e10, ((8, 1e10),)), Hardware())


def test_plans_count_helpers_in_requests_and_memory(helper, monkeypatch):
    monkeypatch.setattr("moco_jax.pool.load_checkpoint", None)
    setting = setting_of([member.info for member in testing.dummy_pool(2)])
    config = RunConfig("weight_ties", "dummy", ("a", "b"), sampling=testing.SHORT, batch_size=8)
    plain, based, member = (
        planning.Planner(setting).plan(config, make_method(name, own), TASK)
        for name, own in (
            ("weight_average", {}),
            ("weight_ties", {"base_model": str(helper)}),
            ("weight_ties", {"base_model": "dummy:0"}),
        )
    )
    assert based.spent.requests - plain.spent.requests == len(TASK.test)
    assert member.spent.requests == plain.spent.requests
    assert [info.name for info in based.beside] == [str(helper)]
    one = setting.weights // 2
    peaks = [
        planning.peak_memory(setting.with_beside([plan]), plan.demands, 8).weights
        for plan in (plain, based, member)
    ]
    assert peaks[1] - peaks[0] == one
    assert peaks[2] == peaks[0]


def test_helpers_that_leave_no_room_are_named(helper, tmp_path):
    for member in testing.dummy_pool(2):
        member.save(tmp_path / member.name)
    members = Members([str(tmp_path / f"dummy:{place}") for place in range(2)])
    pool = setting_of(inspect_all(members.names)).weights
    config = RunConfig("text_moa", "dummy", members.names)
    settle(config, [(make_method("text_moa", {}), TASK)], members, limit=pool)
    method = make_method("text_moa", {"aggregator_model": str(helper)})
    with pytest.raises(DoesNotFit, match=str(helper)):
        settle(config, [(method, TASK)], members, limit=pool)


def test_an_adapter_alone_is_another_helper_than_one_in_a_bank(tmp_path):
    places = testing.dummy_adapters(tmp_path)
    task, out = TASK, tmp_path / "runs"
    run("text_majority_vote", places, task, out=out, **SETTINGS)
    again = run("text_majority_vote", places[:1], task, out=out, **SETTINGS)
    fresh = run("text_majority_vote", places[:1], task, out=tmp_path / "new", **SETTINGS)
    assert again.directory.name == fresh.directory.name
    assert Pool.load(places[:1])[0].identity in (fresh.directory / "config.json").read_text()
