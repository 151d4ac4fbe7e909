"""What merging asks of its members, and what it says of them."""

import dataclasses

import jax
import numpy as np
import pytest

from moco_jax import testing
from moco_jax.method import NeedsError
from moco_jax.methods import make_method
from moco_jax.methods.weight.disk import merge_checkpoints
from moco_jax.models.config import ModelConfig
from moco_jax.pool import Pool, inspect
from moco_jax.trees import TASK_VECTOR_MERGES, Average

TASK = testing.dummy_task("multiple_choice", 4)
PARENT = testing.dummy_member("parent", 0)


def tuned(name, seed, start, share=0.1):
    """A member at a way of its own from a start."""
    noise = testing.dummy_member("any", seed).params
    params = jax.tree.map(lambda x, n: x + share * n, start.params, noise)
    return start.derive(name, params, f"tuned {seed} {share}")


ANCESTOR = PARENT
STEM = tuned("stem", 9, PARENT, 1.0)
CHILDREN = [tuned(f"child{seed}", seed, STEM) for seed in (1, 2, 3)]
BASED = ["task_arithmetic", "ties", "dare", "della", "breadcrumbs", "model_stock", "dare_ties"]


def fit(name, members, **settings):
    engine = testing.ScriptedEngine(lambda who, request: "A")
    bench = testing.workbench(Pool(members), TASK.dev, engine=engine)
    return make_method(name, settings).fit(bench)


def changed(member, **settings):
    """A member whose config.json says something else."""
    raw = {**member.info.raw_config, **settings}
    info = dataclasses.replace(member.info, config=ModelConfig.from_hf(raw), raw_config=raw)
    return dataclasses.replace(member, info=info)


@pytest.mark.parametrize("method", BASED)
def test_a_base_they_were_not_tuned_from_is_told_by_the_cosine(method, caplog):
    key = "base_model_name" if method == "dare_ties" else "base_model"
    with caplog.at_level("WARNING", logger="absl"):
        right = fit(f"weight_{method}", [STEM, *CHILDREN], **{key: "stem"})
        assert not caplog.records
        wrong = fit(f"weight_{method}", [ANCESTOR, *CHILDREN], **{key: "parent"})
    assert dict(right.notes)["remarks"] == []
    (said,) = dict(wrong.notes)["remarks"]
    assert "nearly parallel (mean cosine 0.99): parent is probably not the model" in said
    assert said in caplog.text


def test_merging_from_disk_to_disk_tells_it_too(tmp_path):
    for member in (ANCESTOR, STEM, *CHILDREN):
        member.save(tmp_path / member.name)
    sources = [tmp_path / member.name for member in CHILDREN]
    rule = TASK_VECTOR_MERGES["ties"]
    assert merge_checkpoints(sources, tmp_path / "stem", rule, tmp_path / "right") == []
    (said,) = merge_checkpoints(sources, tmp_path / "parent", rule, tmp_path / "wrong")
    assert "(mean cosine 0.99)" in said and "parent is probably not" in said


OTHERS = {
    "longer": {"max_position_embeddings": 4096},
    "stretched": {"rope_scaling": {"rope_type": "linear", "factor": 2.0}},
    "turned": {"rope_theta": 5e5},
    "ending": {"eos_token_id": [1, 2]},
    "normed": {"rms_norm_eps": 1e-3},
}


@pytest.mark.parametrize("case", OTHERS)
def test_what_shapes_no_tensor_may_differ_and_the_first_ones_are_taken(case, tmp_path):
    first, second = CHILDREN[0], changed(CHILDREN[1], **OTHERS[case])
    system = fit("weight_average", [first, second])
    assert system.member.config == first.config and system.member.eos == first.eos
    mean = (np.asarray(first.params["norm"]["scale"]) + second.params["norm"]["scale"]) / 2
    np.testing.assert_allclose(system.member.params["norm"]["scale"], mean, rtol=1e-6)
    said = dict(system.notes)["remarks"]
    if second.config == first.config:
        assert said == []
    else:
        assert "child2 differs from child1 in " in said[0] and "first one's are taken" in said[0]
    for member, name in ((first, "one"), (second, "two")):
        member.save(tmp_path / name)
    sources = [tmp_path / "one", tmp_path / "two"]
    assert len(merge_checkpoints(sources, None, Average(), tmp_path / "out")) == len(said)
    merged = inspect(str(tmp_path / "out"))
    assert merged.config == first.config and merged.eos == first.eos


def test_other_rows_of_the_vocabulary_are_refused_with_a_remedy(tmp_path):
    def padded(leaf):
        return np.pad(leaf, [(0, 4)] + [(0, 0)] * (leaf.ndim - 1))

    more = changed(CHILDREN[1], vocab_size=CHILDREN[1].config.vocab_size + 4)
    params = dict(more.params)
    for module in ("embed_tokens", "lm_head"):
        params[module] = jax.tree.map(padded, params[module])
    more = dataclasses.replace(more, weights=params)
    with pytest.raises(NeedsError, match=r"vocab_size .* resize both to one vocabulary"):
        infos = [CHILDREN[0].info, more.info]
        make_method("weight_average", {}).needs.check("weight_average", infos, "multiple_choice")
    for member, name in ((CHILDREN[0], "one"), (more, "two")):
        member.save(tmp_path / name)
    with pytest.raises(ValueError, match=r"vocab_size is .* resize both to one vocabulary"):
        sources = [tmp_path / "one", tmp_path / "two"]
        merge_checkpoints(sources, None, Average(), tmp_path / "out")


@pytest.mark.parametrize("order", [0, 1])
def test_a_tied_model_merges_with_an_untied_one(order, tmp_path):
    tied = changed(CHILDREN[0], tie_word_embeddings=True)
    params = {name: part for name, part in tied.params.items() if name != "lm_head"}
    tied = dataclasses.replace(tied, weights=params)
    both = [tied, CHILDREN[1]][:: -1 if order else 1]
    table = np.asarray(params["embed_tokens"]["embedding"])
    wanted = (table + np.asarray(CHILDREN[1].params["lm_head"]["kernel"])) / 2
    found = fit("weight_average", both).member
    np.testing.assert_allclose(found.params["lm_head"]["kernel"], wanted, rtol=1e-5, atol=1e-6)
    assert not found.config.tie_embeddings
    for number, member in enumerate(both):
        member.save(tmp_path / f"{number}")
    sources = [tmp_path / "0", tmp_path / "1"]
    merge_checkpoints(sources, None, Average(), tmp_path / "out")
    saved = Pool.load([str(tmp_path / "out")])[0].params["lm_head"]["kernel"]
    np.testing.assert_allclose(saved, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("base", "cosine"), [("tiny:base", "0.89"), ("tiny:stem", None)])
def test_the_tiny_experts_are_told_that_an_ancestor_is_no_base(base, cosine, caplog):
    with caplog.at_level("WARNING", logger="absl"):
        system = fit(
            "weight_ties", Pool.load(["tiny:math", "tiny:words", "tiny:facts"]), base_model=base
        )
    told = [record.message for record in caplog.records if "parallel" in record.message]
    assert len(told) == (cosine is not None)
    assert all(f"mean cosine {cosine}" in text and base in text for text in told)
    assert system.member is not None
