"""Settings that do not go with the pool or the task are refused before any weight is read."""

import dataclasses

import pytest

from moco_jax import testing
from moco_jax.analysis.sweep import compare
from moco_jax.method import NeedsError
from moco_jax.methods import METHODS, make_method
from moco_jax.runs import run
from moco_jax.runs.config import RunConfig
from moco_jax.runs.planning.settle import settle
from moco_jax.tasks import Gold

CHOICES = testing.dummy_task("multiple_choice", 4)
WRITTEN = dataclasses.replace(CHOICES, kind="ifeval")
NO_GOLDS = dataclasses.replace(
    CHOICES, dev=dataclasses.replace(CHOICES.dev, golds=(Gold(("",)),) * len(CHOICES.dev))
)

WRONG = [
    ("api_nudging", {"base_model_id": 3}, "base_model_id is 3; it must be at most 2"),
    ("api_nudging", {"nudging_model_id": 9}, "nudging_model_id is 9; it must be at most 2"),
    ("api_prompt_routing", {"model_descriptions": ["a"]}, "has 1 entries for 3 members"),
    ("api_switch_generation", {"selector_model_name": "/no/such"}, "selector_model_name is '/no"),
    ("logit_logit_contrastive", {"k": 2}, "k is 2, which takes 4 members; the pool has 3"),
    ("logit_logit_contrastive", {"base": "who"}, "base is 'who'; it must be an index from 0 to 2"),
    (
        "logit_logit_contrastive",
        {"expert": 7, "anti_expert": 0},
        "expert is 7; it must be an index",
    ),
    ("logit_logit_fusion", {"weights": [1, 2]}, "the pool has 3 members, and each takes one"),
    ("text_bbmas", {"min_num_agents_to_stop": 9}, "no more than 1 of 3 agents act"),
    ("text_llm_blender", {"ranker_model_name": "/no/such"}, "ranker_model_name is '/no/such'"),
    ("text_llm_blender", {"fuser_model_name": "/no/such"}, "fuser_model_name is '/no/such'"),
    ("text_moa", {"aggregator_model": 3}, "the pool has the members 0 to 2"),
    ("text_moa", {"aggregator_model": "/no/such"}, "aggregator_model is '/no/such'"),
    ("text_multiagent_feedback", {"abstain": True}, "this one is multiple_choice"),
    ("text_slm_mux", {"select_subset": 4}, "it must be at most 3"),
    (
        "text_structure",
        {"structure_type": "other", "structure_matrix": [[0, 1], [1, 0]]},
        "for 3 members",
    ),
    ("weight_average", {"space": "delta"}, "combines LoRA adapters over one base"),
    ("weight_breadcrumbs", {"base_model": "{0}", "weights": [1, 1, 1]}, "2 members are merged"),
    ("weight_dare", {"base_model": "{0}", "weights": [1]}, "2 members are merged"),
    ("weight_dare_ties", {"base_model_name": "/no/such"}, "base_model_name is '/no/such'"),
    ("weight_della", {"base_model": "{beside}", "weights": [1, 1]}, "3 members are merged"),
    ("weight_expo", {"mode": "pairs"}, "it has 3 members"),
    (
        "weight_expo",
        {"mode": "pairs", "sft_models": ["/no/such"], "dpo_models": ["{0}"]},
        "sft_models is '/no/such'",
    ),
    ("weight_layerwise", {"coefficients": [[0.5, 0.5]]}, "3 members are merged"),
    ("weight_lorahub", {}, "is a whole model"),
    ("weight_model_stock", {"base_model": "/no/such"}, "base_model is '/no/such'"),
    ("weight_model_stock", {"base_model": "{wide}"}, "hidden_size 24"),
    ("weight_model_swarms", {"initial_particles": 2}, "the pool has 3 members"),
    ("weight_task_arithmetic", {"base_model": "{0}", "weights": [1]}, "2 members are merged"),
    ("weight_task_arithmetic", {"base_model": "{0}", "space": "delta"}, "LoRA adapters"),
    ("weight_ties", {"base_model": "{0}", "weights": [1, 1, 1]}, "2 members are merged"),
    ("single_model", {}, "takes at most 1 member"),
    ("api_mentor_collab", {}, "takes at most 2 member"),
    ("weight_slerp", {}, "takes at most 2 member"),
]
OF_TASKS = [
    ("self_consistency", {}, WRITTEN, "this one is ifeval"),
    ("text_majority_vote", {}, WRITTEN, "this one is ifeval"),
    ("text_slm_mux", {}, WRITTEN, "this one is ifeval"),
    ("text_multiagent_refine", {"final": "vote"}, WRITTEN, "this one is ifeval"),
    ("text_multiagent_refine", {"early_stop": True}, WRITTEN, "this one is ifeval"),
    (
        "text_structure",
        {"structure_type": "chain", "report": "vote"},
        WRITTEN,
        "this one is ifeval",
    ),
]
ONE_MEMBER = [
    ("text_knowledge_card", {"exclude_self": True}, "leaves nobody to write"),
    ("api_cascade", {}, "needs at least 2 members"),
    ("text_heterogeneous_swarms", {}, "needs at least 2 members"),
    ("weight_greedy_soup", {}, "needs at least 2 members"),
    ("weight_karcher", {}, "needs at least 2 members"),
]
FREE = {"best_on_dev", "random_member"}
"""Methods that any pool and task will do for, whatever their settings."""


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Checkpoints that look whole."""
    folder = tmp_path_factory.mktemp("members")
    for seed, name in enumerate(("0", "1", "2", "beside")):
        testing.dummy_member(name, seed).save(folder / name)
    testing.dummy_member("wide", 9, hidden_size=24).save(folder / "wide")
    return folder


@pytest.fixture(autouse=True)
def unreadable(monkeypatch):
    """Nothing reads a weight."""

    def read(*_):
        raise AssertionError("weights were read")

    for name in ("pool.load_checkpoint", "pool.load_quantized", "models.lora_files.load_adapter"):
        monkeypatch.setattr(f"moco_jax.{name}", read)


def filled(value, places):
    if isinstance(value, str):
        return value.replace("{", f"{places}/").replace("}", "") if "{" in value else value
    return [filled(part, places) for part in value] if isinstance(value, list) else value


def cases():
    rows = [(name, settings, CHOICES, 3, reason) for name, settings, reason in WRONG]
    rows += [(name, settings, task, 3, reason) for name, settings, task, reason in OF_TASKS]
    rows += [(name, settings, CHOICES, 1, reason) for name, settings, reason in ONE_MEMBER]
    return [pytest.param(*row, id=f"{row[0]}-{place}") for place, row in enumerate(rows)]


@pytest.mark.parametrize(("name", "settings", "task", "count", "reason"), cases())
def test_is_refused_by_run_compare_and_plan(name, settings, task, count, reason, places, tmp_path):
    pool = [str(places / str(place)) for place in range(count)]
    settings = {key: filled(value, places) for key, value in settings.items()}
    with pytest.raises(NeedsError, match=reason) as refused:
        run(name, pool, task, out=tmp_path, hyperparameters=settings)
    assert name in str(refused.value)
    assert not list(tmp_path.iterdir())
    method = make_method(name, settings)
    (row,) = compare([method], pool, [task], out=tmp_path).rows
    assert (row.results, row.reason, row.error) == ((), str(refused.value), "")


def test_every_method_has_a_case():
    tried = {case.values[0] for case in cases()}
    assert tried | FREE == set(METHODS)


def test_a_loss_needs_golds_in_words(places, tmp_path):
    adapters = testing.dummy_adapters(tmp_path / "adapters")
    settings = {"objective": "loss"}
    with pytest.raises(NeedsError, match="dev/0 of kind multiple_choice has none"):
        run("weight_lorahub", adapters, NO_GOLDS, out=tmp_path, hyperparameters=settings)


def test_adapters_are_added_up_over_their_own_base(places, tmp_path):
    adapters = testing.dummy_adapters(tmp_path / "adapters")
    settings = {"base_model": str(places / "0"), "space": "factors"}
    with pytest.raises(NeedsError, match="name their base"):
        run("weight_task_arithmetic", adapters, CHOICES, out=tmp_path, hyperparameters=settings)


def test_a_pool_of_the_base_alone_has_nothing_to_merge(places, tmp_path):
    base = str(places / "0")
    with pytest.raises(NeedsError, match="the pool holds only the base"):
        run(
            "weight_dare", [base, base], CHOICES, out=tmp_path, hyperparameters={"base_model": base}
        )


def test_int8_is_refused_for_merges(places, tmp_path):
    pool = [str(places / str(place)) for place in range(2)]
    with pytest.raises(NeedsError, match="int8 weights are rounded"):
        run("weight_average", pool, CHOICES, out=tmp_path, dtype="int8")


def test_a_method_that_is_refused_does_not_keep_others_from_a_batch_size(places):
    from moco_jax.runs.members import Members

    members = Members([str(places / str(place)) for place in range(3)])
    config = RunConfig("best_on_dev", "dummy", members.names, batch_size="auto")
    methods = [make_method("single_model", {}), make_method("best_on_dev", {})]
    settled = settle(config, [(method, CHOICES) for method in methods], members)
    assert settled.width >= len(CHOICES.test)
