"""Plans against the ledgers of real runs."""

import dataclasses
import functools
import json
import pathlib
import tempfile

import pytest

from moco_jax import testing
from moco_jax.decoding.types import Sampling
from moco_jax.methods import METHODS, make_method
from moco_jax.models.memory import Hardware
from moco_jax.pool import Pool, inspect_all
from moco_jax.runs.config import RunConfig
from moco_jax.runs.execution import execute
from moco_jax.runs.members import Members
from moco_jax.runs.planning import plan as planning
from moco_jax.runs.planning.engine import Memo
from moco_jax.runs.planning.rates import Rates

TASK = testing.dummy_task("multiple_choice", 5)
POOL = testing.dummy_pool(3)
FOLDER = tempfile.TemporaryDirectory()
RATES = Rates(1e10, ((8, 1e10), (256, 1e11)))
GREEDY = Sampling(max_new_tokens=4, temperature=0.0)
REQUIRED = {
    "model_descriptions": ["reds", "greens", "blues"],
    "base_model": POOL[0].name,
    "base_model_name": POOL[0].name,
    "structure_type": "chain",
    "selector_model_name": POOL[0].name,
    "coefficients": [[0.6, 0.2, 0.2], [0.2, 0.2, 0.6]],
}
STEADY = [
    ("single_model", {}),
    ("best_on_dev", {}),
    ("random_member", {}),
    ("self_consistency", {"samples": 3}),
    ("logit_logit_fusion", {}),
    ("text_majority_vote", {}),
    ("text_majority_vote", {"tie": "dev-based"}),
    ("text_slm_mux", {"samples_per_model": 2}),
    ("weight_greedy_soup", {}),
]
"""Methods whose requests and prompts do not depend on what members answer."""


def setting_of(pool, **changes):
    setting = planning.Setting([member.info for member in pool], "float32", RATES, Hardware())
    return dataclasses.replace(setting, **changes)


def config_of(name, out="unused", **changes):
    settings = {"sampling": testing.SHORT, "batch_size": 8, "out": str(out), **changes}
    return RunConfig(method=name, task="dummy", models=("a", "b", "c"), **settings)


@functools.cache
def adapter_pool():
    return Pool.load(testing.dummy_adapters(pathlib.Path(FOLDER.name)))


def pool_for(name):
    needs = METHODS[name].needs
    pool = adapter_pool() if needs.adapters else POOL
    return pool if needs.at_most is None else Pool(pool.members[: needs.at_most])


def planned(name, settings=None, **changes):
    setting = setting_of(pool_for(name), **changes)
    method = make_method(name, settings or {})
    return planning.Planner(setting).plan(config_of(name), method, TASK)


@pytest.mark.parametrize(("name", "settings"), STEADY)
def test_requests_and_prompt_tokens_are_those_of_the_real_run(name, settings, tmp_path):
    found = planned(name, settings)
    result = execute(
        config_of(name, tmp_path),
        make_method(name, settings),
        TASK,
        Members(pool_for(name)),
        Memo(),
    )
    ledger = json.loads((result.directory / "ledger.json").read_text())
    real = ledger["total"]["attributed"]
    for totals in (found.fewest, found.most):
        assert totals.requests == real["requests"]
        assert totals.prompt_tokens == real["prompt_tokens"]
        assert totals.new_tokens >= real["new_tokens"]
    spent = sum(line["spent"]["requests"] for line in ledger["lines"])
    # A soup of one member has answered already
    assert found.spent.requests == spent or (name.endswith("soup") and found.spent.requests > spent)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_can_be_planned(name):
    required = {
        field.name: REQUIRED[field.name]
        for field in dataclasses.fields(METHODS[name])
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    found = planned(name, required)
    assert found.reason == ""
    assert 0 < found.fewest.requests <= found.most.requests
    assert found.most.seconds > 0
    memory = planning.peak_memory(setting_of(pool_for(name)), found.demands, 8)
    assert memory.weights > 0
    assert memory.cache > 0


def test_a_cascade_is_bounded_from_both_sides():
    found = planned("api_cascade")
    dev, test = len(TASK.dev), len(TASK.test)
    assert found.fewest.requests == 2 * dev + test
    assert found.most.requests == 2 * dev + 3 * test
    setting = setting_of(POOL)
    config = dataclasses.replace(config_of("api_cascade"), sampling=Sampling(max_new_tokens=16))
    found = planning.Planner(setting).plan(
        config, make_method("api_cascade", {"mode": "just_ask"}), TASK
    )
    assert (found.fewest.requests, found.most.requests) == (test, 3 * test)


def test_boards_and_pairs_are_bounded_from_both_sides():
    test, spoken = len(TASK.test), Sampling(max_new_tokens=24, temperature=0.7)
    setting = setting_of(POOL)
    settings = {"ranker_model_name": POOL[0].name, "fuser_model_name": POOL[0].name}
    found = {
        name: planning.Planner(setting).plan(
            dataclasses.replace(config_of(name), sampling=spoken), make_method(name, own), TASK
        )
        for name, own in (("text_llm_blender", settings), ("text_bbmas", {}))
    }
    # All answer alike, or every two answers are weighed in both orders by two labels
    bounds = found["text_llm_blender"]
    assert (bounds.fewest.requests, bounds.most.requests) == (4 * test, (4 + 6 * 2) * test)
    # Somebody finishes at once, or nobody's choice can ever be read
    bounds = found["text_bbmas"]
    assert (bounds.fewest.requests, bounds.most.requests) == (2 * test, (3 * 10 + 1) * test)


def test_runs_that_share_dev_passes_are_planned_together():
    planner = planning.Planner(setting_of(POOL))
    first, second = (
        planner.plan(config_of(name), make_method(name, {}), TASK)
        for name in ("best_on_dev", "self_consistency")
    )
    # All that is new are four further samples of the best member
    assert second.spent.requests == 4 * len(TASK.test)
    # Everyone on dev and test, and the best on test greedily too
    assert first.spent.requests == 3 * (len(TASK.dev) + len(TASK.test)) + len(TASK.test)
    # Alone it would need room for the dev passes too
    setting = setting_of(POOL)
    alone = planning.Planner(setting).plan(
        config_of("self_consistency"), make_method("self_consistency", {}), TASK
    )
    assert set(second.demands) >= set(alone.demands)


def test_answers_are_as_long_as_expected():
    longest, shorter = planned("best_on_dev"), planned("best_on_dev", expected_tokens=2)
    assert longest.most.new_tokens == 4 * longest.most.requests
    assert shorter.most.new_tokens == 2 * shorter.most.requests
    assert shorter.most.seconds < longest.most.seconds


def test_what_cannot_run_says_why():
    found = planning.Planner(setting_of(POOL)).plan(
        config_of("single_model"), make_method("single_model", {}), TASK
    )
    assert "takes at most 1 member" in found.reason
    assert found.demands == ()


def test_adapters_over_one_base_hold_it_once():
    one = POOL[0].info
    infos = [
        dataclasses.replace(one, name=str(number), path="base", adapter=adapter)
        for number, adapter in enumerate([None, "x", "y"])
    ]
    assert len(planning.held_models(infos)) == 1
    assert len(planning.held_models(infos[:2])) == 2
    assert len(planning.held_models([one, POOL[1].info, one])) == 2


def test_a_base_outside_of_the_pool_is_not_read_either(monkeypatch):
    def read(*_):
        raise AssertionError("weights were read")

    monkeypatch.setattr("moco_jax.pool.load_checkpoint", read)
    setting = setting_of(POOL, infos=inspect_all(["tiny:math", "tiny:words"]))
    method = make_method("weight_ties", {"base_model": "tiny:base"})
    found = planning.Planner(setting).plan(config_of("weight_ties"), method, TASK)
    assert found.most.requests == len(TASK.test)


def test_adapters_of_an_int8_base_are_planned():
    infos = inspect_all(["tiny:math-lora", "tiny:words-lora"])
    setting = setting_of(POOL, infos=infos, dtype="int8")
    method = make_method("text_majority_vote", {})
    found = planning.Planner(setting).plan(config_of("text_majority_vote"), method, TASK)
    assert found.most.requests == 2 * len(TASK.test)


def test_members_that_compute_on_devices_of_their_own_are_held_twice():
    together = planned("logit_logit_fusion").demands
    apart, uneven = (
        setting_of(POOL, hardware=Hardware(rows=count, members=count)) for count in (3, 2)
    )
    copied = planning.peak_memory(apart, together, 8).weights - apart.weights
    assert copied == apart.weights // 3
    assert planning.peak_memory(uneven, together, 8).weights == uneven.weights


def test_memory_grows_with_the_width_and_shrinks_with_offloading():
    setting = setting_of(POOL)
    found = planned("text_majority_vote")
    narrow, wide = (planning.peak_memory(setting, found.demands, width) for width in (8, 64))
    assert narrow.cache * 8 == wide.cache
    assert narrow.weights == wide.weights
    away = planning.peak_memory(setting, found.demands, 8, offload=True)
    assert away.weights * 3 == narrow.weights
