"""Promises that every built-in method keeps; a new method is one more line in CASES."""

import dataclasses
import functools
import pathlib
import re
import tempfile

import jax
import numpy as np
import pytest

from moco_jax import testing
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.hooks import Charge, unmetered
from moco_jax.decoding.types import total_usage
from moco_jax.method import NeedsError
from moco_jax.methods import METHODS, HyperparameterError, make_method
from moco_jax.methods.weight.merged import Merged
from moco_jax.pool import Pool
from moco_jax.runs.ledger import RESPOND, Ledger
from moco_jax.system import Context, restore_system

DESCRIPTIONS = {"model_descriptions": ["reds", "greens", "blues"]}
BASED = {"base_model": "dummy:0"}

CASES = {
    "api_cascade": [{}, {"threshold": "optimized", "cost_weight": 0.1}, {"mode": "just_ask"}],
    "api_mentor_collab": [
        {"decision_proportion": 50, "patch_size": 2},
        {"decision_proportion": 1.0, "patch_size": 3, "verifier_decision": "generate"},
    ],
    "api_nudging": [
        {},
        {"search_gamma": True, "search_nudging": True, "base_end": "nudge", "agreement": True},
    ],
    "api_prompt_routing": [DESCRIPTIONS, {**DESCRIPTIONS, "router_decision": "generate"}],
    "api_switch_generation": [
        {"selector_model_name": "dummy:0", "patch_size": 2},
        {
            "selector_model_name": "dummy:0",
            "patch_size": 1,
            "selector_decision": "generate",
            "wait_flag": True,
            "objective_flag": True,
        },
    ],
    "best_on_dev": [{}],
    "logit_logit_contrastive": [
        {},
        {"base": 1, "expert": "dummy:0", "anti_expert": 1, "plausibility_alpha": 0.1},
    ],
    "logit_logit_fusion": [
        {},
        {"space": "prob"},
        {"mode": "optimized", "space": "logprob", "population": 3, "max_iterations": 2},
    ],
    "random_member": [{}],
    "self_consistency": [{}],
    "single_model": [{}],
    "text_heterogeneous_swarms": [
        {"population": 3, "max_iterations": 2},
        {"population": 2, "max_iterations": 1, "graph_top_p": 0, "jfk_assignments": 2},
    ],
    "text_knowledge_card": [
        {},
        {"exclude_self": True, "selectors": ["relevance", "brevity"], "mode": "top_down"},
    ],
    "text_bbmas": [
        {"max_iterations": 2, "max_num_agents_to_act": 2},
        {"max_iterations": 3, "selection": "score", "backbone": "best"},
    ],
    "text_llm_blender": [
        {"top_k": 2},
        {"aggregation": "wins", "ranker_model_name": "dummy:0", "context_policy": "shorten"},
    ],
    "text_majority_vote": [{}, {"tie": "dev-based", "weights": "dev"}],
    "text_moa": [{}, {"round": 2, "proposers": "best", "aggregator_model": "dummy:0"}],
    "text_multiagent_feedback": [{"round": 2}, {"feedback_count": 1}],
    "text_multiagent_refine": [{"round": 2}, {"final": "vote", "early_stop": True}],
    "text_slm_mux": [{"samples_per_model": 2}, {"tie": "random", "select_subset": 2}],
    "text_structure": [
        {"structure_type": "chain", "num_rounds": 2},
        {"structure_type": "star", "report": "vote", "context_policy": "summarise"},
    ],
    "weight_average": [{}],
    "weight_breadcrumbs": [BASED],
    "weight_dare": [BASED],
    "weight_dare_ties": [
        {"base_model_name": "dummy:0"},
        {
            "base_model_name": "dummy:0",
            "mode": "optimized",
            "rescale": "l1",
            "population": 2,
            "max_iterations": 2,
        },
        {
            "base_model_name": "dummy:0",
            "mode": "optimized",
            "search": "cma_es",
            "population": 3,
            "max_iterations": 1,
        },
    ],
    "weight_della": [BASED],
    "weight_expo": [{}, {"mode": "topk_bottomk", "alpha_mode": "optimized"}],
    "weight_greedy_soup": [{}],
    "weight_karcher": [{}],
    "weight_layerwise": [{"coefficients": [[0.6, 0.2, 0.2], [0.2, 0.2, 0.6]]}],
    "weight_lorahub": [
        {"max_inference_step": 4, "population": 2, "lorahub_dev_samples": 3},
        {"objective": "loss", "optimizer": "pso", "space": "delta", "max_inference_step": 5},
    ],
    "weight_model_stock": [BASED],
    "weight_model_swarms": [
        {"max_iterations": 2},
        {"initial_particles": 5, "max_iterations": 3, "particles_at_once": 2},
    ],
    "weight_slerp": [{"t": [0.2, 0.8]}],
    "weight_task_arithmetic": [BASED],
    "weight_ties": [BASED],
}
ALL = [
    pytest.param(name, settings, id=f"{name}-{number}")
    for name, cases in CASES.items()
    for number, settings in enumerate(cases)
]
EACH = [pytest.param(name, cases[0], id=name) for name, cases in CASES.items()]
TASK = testing.dummy_task("multiple_choice", 5)
POOL = testing.dummy_pool(3)
FOLDER = tempfile.TemporaryDirectory()
"""Holds the adapters as long as the tests run: what is merged of them is saved without its base."""
_fitted: dict[str, tuple] = {}
_charges: dict[str, list[Charge]] = {}


class Recorder(Engine):
    """Remembers the item of every request."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.items = set()

    def ask(self, members, requests, sampling):
        self.items |= {request.item for request in requests}
        return super().ask(members, requests, sampling)

    def join(self, members, requests, sampling, combine, theta=()):
        self.items |= {request.item for request in requests}
        return super().join(members, requests, sampling, combine, theta)

    def take_turns(self, members, requests, sampling, protocol, thetas=None):
        self.items |= {request.item for request in requests}
        return super().take_turns(members, requests, sampling, protocol, thetas)

    def score(self, members, requests, continuations, sampling=None):
        self.items |= {request.item for request in requests}
        return super().score(members, requests, continuations, sampling)

    def choose(self, members, requests, labels, sampling=None):
        self.items |= {request.item for request in requests}
        return super().choose(members, requests, labels, sampling)


@functools.cache
def adapter_pool():
    return Pool.load(testing.dummy_adapters(pathlib.Path(FOLDER.name)))


def pool_for(name):
    needs = METHODS[name].needs
    pool = adapter_pool() if needs.adapters else POOL
    return pool if needs.at_most is None else Pool(pool.members[: needs.at_most])


def context_for(pool, seed=0, meter=unmetered):
    # A fixed width, so that rows are computed alike in every call
    return Context(pool, Engine(seed=seed, width=8, meter=meter), testing.SHORT, seed)


def fit(name, settings, pool):
    engine = Recorder(width=8)
    return make_method(name, settings).fit(testing.workbench(pool, TASK.dev, engine=engine)), engine


def fitted(name, settings):
    """(system, engine it was fitted with, answers to the test items), made once."""
    key = f"{name} {settings}"
    if key not in _fitted:
        pool = pool_for(name)
        system, engine = fit(name, settings, pool)
        charges = _charges[key] = []
        context = context_for(pool, meter=charges.append)
        _fitted[key] = system, engine, system.respond(TASK.test.items, context)
    return _fitted[key]


def test_every_method_is_in_the_battery():
    assert set(CASES) == set(METHODS)
    assert all(METHODS[name].name == name for name in METHODS)


@pytest.mark.parametrize(("name", "settings"), ALL)
def test_answers_every_item_and_counts_what_it_cost(name, settings):
    _, _, responses = fitted(name, settings)
    assert len(responses) == len(TASK.test)
    for item, response in zip(TASK.test.items, responses, strict=True):
        assert any(item.question in turn.text for turn in response.transcript)
        assert response.usage.forwards > 0
        assert response.usage.flops > 0
        assert type(response).from_json(response.to_json()) == response


@pytest.mark.parametrize(("name", "settings"), ALL)
def test_what_responses_cost_adds_up_to_what_was_charged(name, settings):
    responses = fitted(name, settings)[2]
    ledger = Ledger()
    with ledger.phase(RESPOND):
        for charge in _charges[f"{name} {settings}"]:
            ledger(charge)
    booked, rows = ledger.total(RESPOND).attributed, total_usage(responses)
    assert rows.new_tokens == booked.new_tokens
    assert rows.prompt_tokens == booked.prompt_tokens
    assert rows.forwards == booked.forwards
    assert rows.flops == pytest.approx(booked.flops)
    # One stream is written once, however many members write it
    if name.startswith("logit"):
        assert booked.new_tokens == sum(len(response.tokens) for response in responses)


@pytest.mark.parametrize(("name", "settings"), [case for case in EACH if "weight" not in case.id])
def test_an_item_costs_what_it_costs_alone(name, settings):
    system, _, responses = fitted(name, settings)
    (alone,) = system.respond(TASK.test.items[3:4], context_for(pool_for(name)))
    assert alone.usage == responses[3].usage


@pytest.mark.parametrize(("name", "settings"), ALL)
def test_is_deterministic_for_a_seed(name, settings):
    pool = pool_for(name)
    system, _ = fit(name, settings, pool)
    assert system.respond(TASK.test.items, context_for(pool)) == fitted(name, settings)[2]


@pytest.mark.parametrize(("name", "settings"), ALL)
def test_does_not_depend_on_the_order_of_items(name, settings):
    system, _, responses = fitted(name, settings)
    order = [3, 0, 4, 2, 1]
    items = [TASK.test.items[index] for index in order]
    permuted = system.respond(items, context_for(pool_for(name)))
    assert permuted == [responses[index] for index in order]


@pytest.mark.parametrize(("name", "settings"), ALL)
def test_system_is_saved_and_restored(name, settings, tmp_path):
    system, _, responses = fitted(name, settings)
    system.save(tmp_path)
    restored = restore_system(tmp_path)
    assert restored.respond(TASK.test.items, context_for(pool_for(name))) == responses


@pytest.mark.parametrize(("name", "settings"), ALL)
def test_fit_never_asks_about_test_items(name, settings):
    _, engine, _ = fitted(name, settings)
    assert engine.items <= {item.id for item in TASK.dev.items}


@pytest.mark.parametrize(("name", "settings"), EACH)
def test_serves_every_pool_that_its_needs_allow(name, settings):
    needs = METHODS[name].needs
    tokenizer = testing.dummy_tokenizer(backwards=not needs.same_vocabulary)
    size = 16 if needs.same_architecture else 24
    other = testing.dummy_member("other", 7, tokenizer=tokenizer, hidden_size=size)
    pool = pool_for(name) if needs.adapters else Pool([POOL[0], other][: needs.at_most])
    settings = {key: value[:2] if key in DESCRIPTIONS else value for key, value in settings.items()}
    if "coefficients" in settings:
        settings |= {"coefficients": [row[: len(pool)] for row in settings["coefficients"]]}
    system, _ = fit(name, settings, pool)
    assert len(system.respond(TASK.test.items[:2], context_for(pool))) == 2


@pytest.mark.parametrize("name", METHODS)
def test_pools_that_break_its_needs_are_refused(name):
    needs = METHODS[name].needs
    infos = [member.info for member in POOL]
    backwards = testing.dummy_tokenizer(backwards=True)
    if needs.members > 1:
        with pytest.raises(NeedsError, match=f"{name} needs at least {needs.members}"):
            needs.check(name, infos[: needs.members - 1], TASK.kind)
    if needs.at_most is not None:
        with pytest.raises(NeedsError, match=f"{name} takes at most"):
            needs.check(name, infos[: needs.at_most + 1], TASK.kind)
    if needs.kinds:
        with pytest.raises(NeedsError, match=f"{name} serves tasks of kind"):
            needs.check(name, infos[: needs.members], "reward_model")
    if needs.adapters:
        first, *others = [member.info for member in adapter_pool()]
        with pytest.raises(NeedsError, match="dummy:0 is a whole model"):
            needs.check(name, [first, infos[0]], TASK.kind)
        with pytest.raises(NeedsError, match="stands over elsewhere"):
            needs.check(name, [first, dataclasses.replace(others[0], path="elsewhere")], TASK.kind)
    if needs.same_architecture:
        wide = testing.dummy_member("wide", 1, hidden_size=24).info
        pair = [dataclasses.replace(info, adapter="over it") for info in (infos[0], wide)]
        with pytest.raises(NeedsError, match="wide has hidden_size 24"):
            needs.check(name, pair, TASK.kind)
    if needs.same_vocabulary:
        odd = testing.dummy_member("odd", 1, tokenizer=backwards).info
        with pytest.raises(ValueError, match="different vocabularies"):
            needs.check(name, [infos[0], odd], TASK.kind)


@pytest.mark.parametrize(("name", "settings"), EACH)
def test_bad_hyperparameters_are_refused_by_name(name, settings):
    for field in dataclasses.fields(METHODS[name]):
        with pytest.raises(HyperparameterError, match=f"{name}: {field.name} is"):
            make_method(name, {**settings, field.name: {"no": "such"}})
        with pytest.raises(HyperparameterError, match=f"did you mean .*{field.name}"):
            make_method(name, {**settings, f"{field.name}x": 1})
    with pytest.raises(HyperparameterError, match="no hyperparameter 'zzzz'"):
        make_method(name, {**settings, "zzzz": 1})


@pytest.mark.parametrize("name", METHODS)
def test_says_what_it_is_where_it_is_from_and_what_it_costs(name):
    text = METHODS[name].__doc__
    assert re.search(r"^    Source: ", text, re.MULTILINE)
    assert re.search(r"^    Cost: ", text, re.MULTILINE)
    # Inherited settings are described where they stand, and the method says where that is
    for parent in METHODS[name].__mro__:
        if parent.__name__ in text:
            text += parent.__doc__
    for field in dataclasses.fields(METHODS[name]):
        assert re.search(rf"^        {field.name}: ", text, re.MULTILINE), field.name


@pytest.mark.parity
@pytest.mark.parametrize(("name", "settings"), [case for case in ALL if "weight" in case.id])
def test_merged_weights_load_in_transformers(name, settings, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from moco_jax.models.decoder import forward, unembed

    system, _, _ = fitted(name, settings)
    assert isinstance(system, Merged)
    system.save(tmp_path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    words = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    tokens = np.array([words.encode("Which one?")])
    member = system.member
    positions = np.arange(tokens.shape[1])[None]
    hidden, _ = forward(member.config, member.params, tokens, positions)
    ours = unembed(member.config, member.params, hidden)
    with torch.no_grad():
        logits = theirs(torch.tensor(tokens)).logits.numpy()
    np.testing.assert_allclose(ours, logits, rtol=1e-4, atol=1e-4)
    assert jax.tree.leaves(member.params)[0].dtype == np.float32
