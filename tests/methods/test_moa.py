"""Mixture of agents: whole transcripts against hand-written ones."""

import dataclasses

import pytest

from moco_jax import testing
from moco_jax.decoding.types import Usage
from moco_jax.method import NeedsError
from moco_jax.methods import METHODS, make_method, prompts
from moco_jax.system import restore_system
from moco_jax.tasks.templates import TEMPLATES, render

POOL = testing.dummy_pool(3)
TASK = testing.dummy_task("multiple_choice", 2)
ITEM = TASK.test.items[0]


def script(name, request):
    """dummy:2 is best on dev; everyone says its name, purpose and sample."""
    if request.purpose == "dev":
        return "A" if name == "dummy:2" else "none"
    return f"{name} {request.purpose} {request.sample}"


def run(answer=script, items=TASK.test.items[:1], **settings):
    engine = testing.ScriptedEngine(answer)
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    system = make_method("text_moa", settings).fit(bench)
    dev = len(engine.asked)
    engine.calls.clear()
    return system.respond(items, bench), engine, engine.asked[dev:]


def turns(response):
    return [(turn.speaker, turn.role, turn.text) for turn in response.transcript]


def mixed(*answers):
    """The prompt, written out."""
    lines = "\n".join(f"{number}. {text}" for number, text in enumerate(answers, 1))
    return (
        "Several models answered the question below; some may be wrong or one-sided. Do not copy "
        "them: weigh them and give one better, clear answer.\n\n"
        f"Answers:\n{lines}\n\nQuestion: {ITEM.prompt}"
    )


def test_one_layer_and_the_best_member_on_dev():
    (response,), engine, _ = run()
    said = [f"dummy:{who} answer 0" for who in range(3)]
    wanted = []
    for who in range(3):
        wanted += [("user", "answer", ITEM.prompt), (f"dummy:{who}", "answer", said[who])]
    wanted += [
        ("user", "aggregate", mixed(*said)),
        ("dummy:2", "aggregate", "dummy:2 aggregate 0"),
    ]
    assert turns(response) == wanted
    assert response.text == "dummy:2 aggregate 0"
    assert response.notes == (("chosen", "dummy:2"), ("references", 3))
    assert engine.calls == [3, 1]
    read = sum(len(text) for speaker, _, text in wanted if speaker == "user")
    written = sum(len(text) for speaker, _, text in wanted if speaker != "user")
    assert response.usage == Usage(read, written, 4 + written)


def test_later_layers_read_all_proposals_of_the_one_before():
    (response,), engine, asked = run(round=3)
    assert engine.calls == [3, 3, 3, 1]
    first = [f"dummy:{who} answer 0" for who in range(3)]
    second = [f"dummy:{who} propose round 2 0" for who in range(3)]
    third = [f"dummy:{who} propose round 3 0" for who in range(3)]
    texts = [request.messages[0].content for _, request in asked]
    assert texts[3:] == [mixed(*first)] * 3 + [mixed(*second)] * 3 + [mixed(*third)]
    assert len(response.transcript) == 2 * 10


def test_the_best_member_may_be_all_proposers():
    (response,), _, asked = run(round=2, proposers="best")
    assert [(name, request.purpose, request.sample) for name, request in asked] == [
        *[("dummy:2", "answer", sample) for sample in range(3)],
        *[("dummy:2", "propose round 2", sample) for sample in range(3)],
        ("dummy:2", "aggregate", 0),
    ]
    assert turns(response)[-2][2] == mixed(*[f"dummy:2 propose round 2 {n}" for n in range(3)])


def test_equal_proposals_are_shown_once_where_asked_to():
    def answer(name, request):
        return {"dummy:0": "B", "dummy:1": " B\n", "dummy:2": "C"}[name]

    (response,), _, asked = run(answer, dedupe_references=True)
    assert asked[-1][1].messages[0].content == mixed("B", "C")
    assert dict(response.notes)["references"] == 2
    _, _, asked = run(answer)
    assert asked[-1][1].messages[0].content == mixed("B", "B", "C")


@pytest.mark.parametrize("aggregator", [1, "dummy:1"])
def test_the_aggregator_may_be_named_and_needs_no_dev_pass(aggregator):
    engine = testing.ScriptedEngine(script)
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    system = make_method("text_moa", {"aggregator_model": aggregator}).fit(bench)
    assert engine.asked == []
    (response,) = system.respond([ITEM], bench)
    assert response.speaker == "dummy:1"


def test_an_aggregator_that_there_is_not_is_refused():
    with pytest.raises(NeedsError, match="aggregator_model is 3; the pool has the members 0 to 2"):
        testing.check(make_method("text_moa", {"aggregator_model": 3}), POOL, TASK)
    with pytest.raises(NeedsError, match="aggregator_model is '/no/such'"):
        testing.check(make_method("text_moa", {"aggregator_model": "/no/such"}), POOL, TASK)


def test_a_model_of_another_kind_under_the_same_name_is_no_aggregator(tmp_path):
    bench = testing.workbench(POOL, TASK.dev, engine=testing.ScriptedEngine(script))
    make_method("text_moa", {"aggregator_model": "dummy:1"}).fit(bench).save(tmp_path)
    other = testing.workbench(testing.dummy_pool(3, seed=1), TASK.dev, engine=bench.engine)
    with pytest.raises(ValueError, match="dummy:1 is not the model"):
        restore_system(tmp_path).respond([ITEM], other)


def test_long_proposals_are_shortened_and_the_question_is_whole():
    (response,), _, asked = run(lambda name, request: name + 400 * "x", context_policy="shorten")
    prompt = asked[-1][1].messages[0].content
    assert prompt.endswith(f"\n\nQuestion: {ITEM.prompt}")
    assert prompt.count(" [...] ") == 3
    # A token per byte, three around the turn, and four for the answer
    assert 1024 - 4 - 3 - 3 < len(prompt) <= 1024 - 4 - 3
    assert dict(response.notes)["context"] == {"shortened": 3}


def test_by_default_proposals_are_shown_whole_as_in_every_method():
    (response,), _, asked = run(lambda name, request: name + 400 * "x")
    prompt = asked[-1][1].messages[0].content
    assert all(f"{name}{400 * 'x'}" in prompt for name in POOL.names)
    assert "context" not in dict(response.notes)
    policies = {
        method.context_policy for method in METHODS.values() if hasattr(method, "context_policy")
    }
    assert policies == {"refuse"}


def test_a_prompt_that_does_not_say_how_to_answer_is_followed_by_it():
    item = dataclasses.replace(ITEM, prompt="Which colour?")
    _, _, asked = run(items=[item])
    assert (
        asked[-1][1]
        .messages[0]
        .content.endswith("Question: Which colour?\n\nAnswer with the letter.")
    )


@pytest.mark.parametrize("kind", prompts.ANSWER_FORMATS)
def test_the_usual_prompts_end_with_how_to_answer_already(kind):
    prompt = render(TEMPLATES[kind], "Which colour?", ("red", "green"))
    assert prompts.remind(prompt, kind) == prompt
    assert prompts.remind("Which colour?", kind).endswith(prompts.ANSWER_FORMATS[kind])


def test_kinds_without_a_form_are_not_reminded():
    assert prompts.remind("Who are you?", "reward_model") == "Who are you?"
