"""The cascade: thresholds against brute force, and its course by script."""

import itertools

import numpy as np
import pytest

from moco_jax import testing
from moco_jax.decoding.types import Response, Usage
from moco_jax.methods import make_method, prompts
from moco_jax.methods.api.cascade import NEVER, Levels, Trial, quantile_threshold

POOL = testing.dummy_pool(3)
TASK = testing.dummy_task("multiple_choice", 5)


def sure(text, logprob, flops=1.0):
    """A response with this mean log-probability."""
    return Response(text, usage=Usage(3, 2, 3, flops), logprobs=(logprob - 0.1, logprob + 0.1))


def index_of(request):
    return int(request.item.split("/")[1])


def test_each_member_has_the_quantile_of_its_own_dev_confidences():
    engine = testing.ScriptedEngine(
        lambda name, request: sure("A", -(index_of(request) + 1) * (1 + int(name[-1])))
    )
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    system = make_method("api_cascade", {"percentage": 0.3}).fit(bench)
    first = np.quantile([-1, -2, -3, -4, -5], 0.3)
    np.testing.assert_allclose(system.thresholds, [first, 2 * first])
    assert engine.calls == [5, 5], "the last member needs no threshold"


def test_quantile_without_any_confidence_defers():
    assert quantile_threshold([-np.inf, -np.inf], 0.5) == NEVER
    assert quantile_threshold([-np.inf, -1.0, -3.0], 0.5) == -2.0


def test_items_go_on_until_a_member_is_sure_enough():
    confidences = {"dummy:0": [-1, -9, -9, -1, -9], "dummy:1": [0, -1, -9, 0, -9]}

    def answer(name, request):
        known = confidences.get(name)
        return sure(name, known[index_of(request)] if known else -99.0)

    engine = testing.ScriptedEngine(answer)
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    responses = Levels("logit", (-1.0, -2.0)).respond(TASK.test.items, bench)
    assert [r.text for r in responses] == ["dummy:0", "dummy:1", "dummy:2", "dummy:0", "dummy:2"]
    assert engine.calls == [5, 3, 2]
    assert [dict(r.notes)["level"] for r in responses] == [0, 1, 2, 0, 2]
    assert responses[1].usage == Usage(6, 4, 6, 2.0)
    assert [turn.speaker for turn in responses[1].transcript] == [
        "user",
        "dummy:0",
        "user",
        "dummy:1",
    ]


def test_a_member_without_items_is_not_run():
    engine = testing.ScriptedEngine(lambda name, request: sure("A", -1.0))
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    Levels("logit", (-1.0, -1.0)).respond(TASK.test.items, bench)
    assert {name for name, _ in engine.asked} == {"dummy:0"}


def test_a_threshold_of_zero_is_one():
    engine = testing.ScriptedEngine(lambda name, request: Response("A", logprobs=(0.0,)))
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    responses = Levels("logit", (0.0, 0.0)).respond(TASK.test.items, bench)
    assert {r.speaker for r in responses} == {"dummy:0"}


def test_just_ask_goes_on_at_the_word():
    engine = testing.ScriptedEngine(
        lambda name, request: "I am Unconfident" if name == "dummy:0" else "B"
    )
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    system = make_method("api_cascade", {"mode": "just_ask"}).fit(bench)
    responses = system.respond(TASK.test.items[:1], bench)
    assert engine.calls == [1, 1], "no dev pass, and the last member is not needed"
    asked = prompts.just_ask(TASK.test.items[0].prompt)
    assert [(t.speaker, t.text) for t in responses[0].transcript] == [
        ("user", asked),
        ("dummy:0", "I am Unconfident"),
        ("user", asked),
        ("dummy:1", "B"),
    ]


def test_the_last_member_answers_the_plain_question():
    engine = testing.ScriptedEngine(lambda name, request: "unconfident")
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    Levels("just_ask").respond(TASK.test.items[:1], bench)
    assert engine.asked[-1][1].messages[-1].content == TASK.test.items[0].prompt


def judge_slowly(trial, thresholds, cost_weight):
    value = cost = 0.0
    levels, items = trial.values.shape
    for item in range(items):
        for level in range(levels):
            cost += trial.costs[level, item]
            if level == levels - 1 or trial.confidences[level, item] >= thresholds[level]:
                value += trial.values[level, item]
                break
    return value / items - cost_weight * cost / items, -cost / items


@pytest.mark.parametrize("cost_weight", [0.0, 0.3])
def test_two_levels_get_the_best_of_all_thresholds(cost_weight):
    rng = np.random.default_rng(0)
    for _ in range(20):
        trial = Trial(
            confidences=-rng.integers(1, 6, (2, 7)).astype(float),
            values=rng.integers(0, 2, (2, 7)).astype(float),
            costs=np.array([[0.2] * 7, [1.0] * 7]),
        )
        found = trial.optimise((-3.0,), cost_weight)
        tried = [*np.unique(trial.confidences[0]), NEVER]
        best = max(judge_slowly(trial, (value,), cost_weight) for value in tried)
        np.testing.assert_allclose(judge_slowly(trial, found, cost_weight), best)


def test_three_levels_are_judged_like_the_slow_way_and_never_made_worse():
    rng = np.random.default_rng(1)
    trial = Trial(
        confidences=-rng.integers(1, 4, (3, 6)).astype(float),
        values=rng.uniform(size=(3, 6)),
        costs=rng.uniform(size=(3, 6)),
    )
    for thresholds in itertools.product([-3.0, -2.0, NEVER], repeat=2):
        fast = trial.judge(thresholds, 0.1)
        np.testing.assert_allclose(fast, judge_slowly(trial, thresholds, 0.1))
        assert trial.judge(trial.optimise(thresholds, 0.1), 0.1) >= fast


def test_optimized_learns_whom_to_trust():
    # dummy:0 is right exactly where it is sure; the last member is right elsewhere
    def answer(name, request):
        index = index_of(request)
        gold, knows = "ABC"[index % 3], index < 3
        right = knows if name == "dummy:0" else not knows
        return sure(gold if right else "none", -1.0 if knows else -2.0, 1 + int(name[-1]))

    bench = testing.workbench(POOL, TASK.dev, engine=testing.ScriptedEngine(answer))
    system = make_method("api_cascade", {"threshold": "optimized", "percentage": 0.0}).fit(bench)
    responses = system.respond(TASK.dev.items, bench)
    assert bench.mean_dev_score(responses) == 1.0
    assert [dict(r.notes)["level"] for r in responses[:3]] == [0, 0, 0]


@pytest.mark.parametrize("mode", ["logit", "just_ask"])
def test_an_empty_answer_is_not_accepted(mode):
    engine = testing.ScriptedEngine(
        lambda name, request: sure("" if name == "dummy:0" else "A", -0.1)
    )
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    (response,) = Levels(mode, (-1.0, -1.0)).respond(TASK.test.items[:1], bench)
    assert response.speaker == "dummy:1"
    system = make_method("api_cascade", {}).fit(bench)
    assert system.thresholds[0] == NEVER
    assert system.thresholds[1] == pytest.approx(-0.1)
