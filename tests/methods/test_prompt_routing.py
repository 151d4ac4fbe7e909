"""The router, by script."""

import dataclasses
import math

import numpy as np
import pytest

from moco_jax import testing
from moco_jax.method import NeedsError
from moco_jax.methods import make_method, prompts
from moco_jax.methods.api.prompt_routing import named_member
from moco_jax.methods.labels import label_probabilities
from moco_jax.system import question

POOL = testing.dummy_pool(3)
TASK = testing.dummy_task("multiple_choice", 3)
SETTINGS = {"model_descriptions": ["reds", "greens", "blues"]}
SCORES = {"1": -3.0, "2": -1.0, "3": -2.0}


def answer(name, request):
    # dummy:1 is the only one that gets a dev item right
    if request.purpose == "dev":
        return "A" if name == "dummy:1" else "none"
    return "I take model 3" if request.purpose == "route" else f"answer of {name}"


def run(**settings):
    engine = testing.ScriptedEngine(answer, lambda name, request, text: SCORES[text])
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    system = make_method("api_prompt_routing", {**SETTINGS, **settings}).fit(bench)
    return system.respond(TASK.test.items, bench), engine


def test_log_probabilities_decide():
    responses, engine = run()
    asked = prompts.route(TASK.test.items[0].question, ["reds", "greens", "blues"])
    assert [(name, text) for name, _, text in engine.scored[:3]] == [
        ("dummy:1", "1"),
        ("dummy:1", "2"),
        ("dummy:1", "3"),
    ]
    assert engine.scored[0][1].messages[-1].content == asked
    turns = [(turn.speaker, turn.role, turn.text) for turn in responses[0].transcript]
    assert turns == [
        ("user", "route", asked),
        ("dummy:1", "route", "2"),
        ("user", "answer", TASK.test.items[0].prompt),
        ("dummy:1", "answer", "answer of dummy:1"),
    ]
    notes = dict(responses[0].notes)
    assert notes["chosen"] == notes["router"] == "dummy:1"
    shares = np.exp([-3.0, -1.0, -2.0])
    np.testing.assert_allclose(notes["router_probabilities"], shares / shares.sum())
    assert responses[0].usage.forwards > 3


def test_long_labels_are_compared_as_whole_replies():
    bench = testing.workbench(POOL, TASK.dev)
    ask = (0, question(TASK.test.items[0]))
    ((shares, usage),) = label_probabilities(bench, [ask], ["A", "12"])
    end = testing.members.END
    scores = bench.score([ask, ask], [f"A{end}", f"12{end}"])
    odds = math.exp(sum(scores[0]) - sum(scores[1]))
    assert shares[0] / shares[1] == pytest.approx(odds, rel=1e-5)
    assert usage.forwards == 2


def test_generate_takes_the_written_number():
    responses, engine = run(router_decision="generate")
    assert {response.speaker for response in responses} == {"dummy:2"}
    assert engine.scored == []
    assert responses[0].transcript[1].text == "I take model 3"
    assert engine.calls == [3, 3, 3, 3, 3], "three dev passes, one of routing, one of answers"


@pytest.mark.parametrize(
    ("reply", "member"),
    [
        ("2", 1),
        ("Model 3.", 2),
        ("24 is a lot, so 1", 0),
        ("1.5 or 2", 1),
        ("none", None),
        ("0 4 12", None),
    ],
)
def test_only_whole_numbers_in_range_name_a_member(reply, member):
    assert named_member(reply, 3) == member


def test_an_unreadable_reply_leaves_it_to_the_router():
    engine = testing.ScriptedEngine(lambda name, request: "A" if name == "dummy:1" else "no")
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    method = make_method("api_prompt_routing", {**SETTINGS, "router_decision": "generate"})
    responses = method.fit(bench).respond(TASK.test.items, bench)
    assert {response.speaker for response in responses} == {"dummy:1"}
    assert dict(responses[0].notes)["router_reply_parsed"] is False


def test_descriptions_must_match_the_pool():
    method = make_method("api_prompt_routing", {"model_descriptions": ["a"]})
    with pytest.raises(NeedsError, match="model_descriptions has 1 entries for 3 members"):
        testing.check(method, POOL, TASK)


def test_a_question_beyond_the_routers_context_stays_with_the_router():
    engine = testing.ScriptedEngine(answer, lambda *_: -1.0)
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    system = make_method("api_prompt_routing", SETTINGS).fit(bench)
    item = dataclasses.replace(TASK.test.items[0], question="long " * 1000)
    (response,) = system.respond([item], bench)
    notes = dict(response.notes)
    assert notes["chosen"] == notes["router"] == response.speaker == "dummy:1"
    assert notes["router_probabilities"] is None
    assert [turn.role for turn in response.transcript] == ["route", "answer", "answer"]
    assert not engine.scored
