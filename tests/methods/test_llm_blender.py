"""Ranking in pairs and fusing: hand-written transcripts, and what judges do to the ranking."""

import dataclasses
import itertools

import numpy as np
import pytest

from moco_jax import testing
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.types import Usage, total_usage
from moco_jax.methods import HyperparameterError, make_method, prompts
from moco_jax.methods.text.llm_blender import pair_scores
from moco_jax.pool import Pool

POOL = testing.dummy_pool(3)
TASK = testing.dummy_task("multiple_choice", 2)
ITEM = TASK.test.items[0]
WORTH = {"one": 0.0, "two": 3.0, "three": 1.0}
BIAS = 5.0


def answer(name, request):
    """dummy:1 is best on dev."""
    if request.purpose == "dev":
        return "A" if name == "dummy:1" else "none"
    if request.purpose == "fuse":
        return "fused"
    return list(WORTH)[int(name[-1])]


def logprob(name, request, label):
    """A judge who sees what answers are worth, and likes the first place very much."""
    asked = request.messages[-1].content
    shown = sorted(WORTH, key=lambda text: asked.find(f"- {text}") % 10**6)
    first, second = shown[:2]
    return {"A": WORTH[first] + BIAS, "B": WORTH[second]}[label] - 10.0


def run(answer=answer, logprob=logprob, items=TASK.test.items[:1], pool=POOL, **settings):
    engine = testing.ScriptedEngine(answer, logprob)
    bench = testing.workbench(pool, TASK.dev, engine=engine)
    system = make_method("text_llm_blender", settings).fit(bench)
    engine.calls.clear()
    return system.respond(items, bench), engine


def test_every_pair_is_judged_in_both_orders_and_the_best_are_fused():
    (response,), engine = run(top_k=2)
    texts = list(WORTH)
    wanted = []
    for who, text in enumerate(texts):
        wanted += [("user", "answer", ITEM.prompt), (f"dummy:{who}", "answer", text)]
    for first, second in itertools.permutations(texts, 2):
        # The liking for the first place outweighs what answers are worth
        wanted += [
            ("user", "judge", prompts.choose(ITEM.prompt, first, second)),
            ("dummy:1", "judge", "A"),
        ]
    fuse = (
        f"{ITEM.prompt}\n\nAnswers, the best first:\n1. two\n2. three\n\n"
        "Make one answer of them: keep what is right, leave out what is wrong.\n\n"
        "Answer with the letter."
    )
    wanted += [("user", "fuse", fuse), ("dummy:1", "fuse", "fused")]
    assert [(t.speaker, t.role, t.text) for t in response.transcript] == wanted
    assert engine.calls == [3, 1]
    assert [(name, label) for name, _, label in engine.scored] == [
        ("dummy:1", label) for _ in range(6) for label in "AB"
    ]
    notes = dict(response.notes)
    assert notes["fused"] == ["dummy:1", "dummy:2"]
    assert notes["chosen"] == notes["ranker"] == "dummy:1"
    assert response.text == "fused"


def test_a_liking_for_the_first_place_cancels():
    (response,), _ = run()
    # Mean over the two others of the difference in worth
    np.testing.assert_allclose(dict(response.notes)["ranker_scores"], [-2.0, 2.5, -0.5])
    (response,), _ = run(aggregation="wins")
    assert dict(response.notes)["ranker_scores"] == [0.0, 2.0, 1.0]


def test_pair_scores_equal_a_loop_over_pairs():
    rng = np.random.default_rng(0)
    preferences = rng.normal(size=(5, 5))
    np.fill_diagonal(preferences, 0)
    for i in range(5):
        margins = [(preferences[i, j] - preferences[j, i]) / 2 for j in range(5) if j != i]
        assert pair_scores(preferences, "maxlogits")[i] == pytest.approx(sum(margins) / 4)
        assert pair_scores(preferences, "wins")[i] == sum(margin > 0 for margin in margins)
    assert pair_scores(np.zeros((3, 3)), "wins").tolist() == [1.0, 1.0, 1.0]


def test_equal_answers_are_not_compared():
    def same(name, request):
        return "fused" if request.purpose == "fuse" else "A"

    (response,), engine = run(same)
    assert engine.scored == []
    assert dict(response.notes)["ranker_scores"] == [0.0, 0.0, 0.0]
    assert dict(response.notes)["fused"] == list(POOL.names)
    read = 3 * len(ITEM.prompt) + len(response.transcript[-2].text)
    written = 3 + len("fused")
    assert response.usage == Usage(read, written, 4 + written)


TWINS = Pool([member for member in POOL for _ in range(2)])
"""Twins say the same, so that some judgements are one prompt."""


@pytest.mark.parametrize("pool", [POOL, TWINS])
def test_what_responses_cost_is_what_was_charged(pool):
    charges = []
    bench = testing.workbench(pool, TASK.dev, engine=Engine(meter=charges.append))
    bench = dataclasses.replace(bench, sampling=bench.sampling.with_greedy())
    system = make_method("text_llm_blender", {"top_k": 2}).fit(bench)
    charges.clear()
    responses = system.respond(TASK.test.items, bench)
    assert {charge.purpose for charge in charges} == {"answer", "judge", "fuse"}
    found = total_usage(responses)
    charged = sum((charge.usage for charge in charges), Usage())
    assert found.prompt_tokens == charged.prompt_tokens
    assert (found.forwards, found.flops) == (charged.forwards, pytest.approx(charged.flops))


def test_named_models_rank_and_fuse_and_nobody_is_tried_on_dev():
    engine = testing.ScriptedEngine(answer, logprob)
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    settings = {"ranker_model_name": "tiny:math", "fuser_model_name": "dummy:2"}
    system = make_method("text_llm_blender", settings).fit(bench)
    assert engine.asked == []
    (response,) = system.respond(TASK.test.items[:1], bench)
    assert {name for name, _, _ in engine.scored} == {"tiny:math"}
    assert response.speaker == "dummy:2"


def test_a_pair_beyond_the_context_prefers_nobody_and_is_counted():
    def long(name, request):
        text = answer(name, request)
        return text * 300 if text == "three" else text

    (response,), engine = run(long, items=TASK.test.items[:1])
    notes = dict(response.notes)
    assert notes["context"] == {"refused": 4}
    assert notes["ranker_scores"] == [-1.5, 1.5, 0.0]
    assert len(engine.scored) == 2 * 2
    (response,), engine = run(long, context_policy="shorten")
    assert "refused" not in dict(response.notes)["context"]
    assert len(engine.scored) == 2 * 6


def test_training_is_refused_with_a_remedy():
    for role in ("ranker", "fuser"):
        remedy = f"train_{role}_on_dev.* with {role}_model_name"
        with pytest.raises(HyperparameterError, match=remedy):
            make_method("text_llm_blender", {f"train_{role}_on_dev": True})
