"""Switch generation against transcripts written down by hand."""

import math

import pytest

from moco_jax import testing
from moco_jax.decoding.types import Sampling
from moco_jax.method import NeedsError
from moco_jax.methods import HyperparameterError, make_method, prompts
from moco_jax.system import Context

NAME = "api_switch_generation"
TASK = testing.dummy_task("multiple_choice", 1)
ITEM = TASK.test.items[0]
POOL = testing.dummy_pool(3)


def play(answer, logprob=None, tokens=12, **settings):
    """Plays with dummy:0 as the selector: the response, and what the script was asked."""
    engine = testing.ScriptedEngine(answer, **({"logprob": logprob} if logprob else {}))
    bench = testing.workbench(POOL, TASK.dev)
    settings = {"selector_model_name": "dummy:0", "patch_size": 4, **settings}
    system = make_method(NAME, settings).fit(bench)
    context = Context(POOL, engine, Sampling(max_new_tokens=tokens, temperature=0.0), 0)
    (response,) = system.respond([ITEM], context)
    return response, engine


def by_length(plan):
    """A script: what a member writes by how much stands there already."""
    return lambda name, request: plan[name, len(request.prefix)]


def choosing(*numbers):
    """Log-probabilities under which the selector names these numbers, one after another."""
    queue = [number for number in numbers for _ in range(len(POOL))]
    return lambda name, request, label: math.log(0.8 if label == str(queue.pop(0)) else 0.1)


def said(response):
    return [(turn.speaker, turn.role, turn.text) for turn in response.transcript]


def test_the_selector_reads_along_and_members_go_on_in_exact_text():
    plan = {("dummy:1", 0): "I sa", ("dummy:2", 4): "id s", ("dummy:1", 8): "o!"}
    response, engine = play(by_length(plan), choosing(1, 2, 1))
    assert said(response) == [
        ("user", "answer", ITEM.prompt),
        ("dummy:0", "select", "1"),
        ("dummy:1", "answer", "I sa"),
        ("dummy:0", "select", "2"),
        ("dummy:2", "answer", "id s"),
        ("dummy:0", "select", "1"),
        ("dummy:1", "answer", "o!"),
    ]
    assert (response.text, response.finish) == ("I said so!", "stop")
    notes = dict(response.notes)
    assert notes == {"selector": "dummy:0", "patches": [1, 2, 1], "unread_choices": 0}
    read = [request.messages[-1].content for _, request, label in engine.scored if label == "0"]
    assert read == [
        prompts.next_speaker(ITEM.prompt, parts, 3)
        for parts in ([], [(1, "I sa")], [(1, "I sa"), (2, "id s")])
    ]
    assert "Answer so far:\n[model 1]I sa[/model 1][model 2]id s[/model 2]\n" in read[-1]


def test_the_end_of_a_member_ends_the_answer_and_nobody_is_asked_again():
    response, engine = play(by_length({("dummy:2", 0): "B"}), choosing(2))
    assert (response.text, response.finish) == ("B", "stop")
    assert len(engine.asked) == 1


def test_the_budget_is_whole_patches():
    plan = {("dummy:1", 0): "abcdef", ("dummy:1", 4): "efghij"}
    response, _ = play(by_length(plan), choosing(1, 1), tokens=11)
    assert (response.text, response.finish) == ("abcdefgh", "length")


def test_flags_ask_to_wait_and_to_conclude():
    wait = len(prompts.WAIT)
    plan = {("dummy:1", 0): "Yes", ("dummy:1", 3 + wait): "no", ("dummy:1", 5 + 2 * wait): "so"}
    # Who ends before the last two patches of four is asked to wait; afterwards the end is one
    response, _ = play(by_length(plan), choosing(1, 1, 1), tokens=16, wait_flag=True)
    assert response.text == f"Yes{prompts.WAIT}no{prompts.WAIT}so"
    assert ("method", "answer", prompts.WAIT) in said(response)
    plan = {("dummy:1", 0): "12345", ("dummy:2", 4 + len(prompts.CONCLUDE)): " B"}
    response, _ = play(by_length(plan), choosing(1, 2), tokens=8, objective_flag=True)
    assert response.text == f"1234{prompts.CONCLUDE} B"
    assert response.finish == "stop"
    response, _ = play(by_length({("dummy:1", 0): "B"}), choosing(1), tokens=4, objective_flag=True)
    assert response.text == "B"


def test_a_written_number_is_read_whole_and_an_unreadable_one_is_drawn():
    replies = iter(["I take 14, or 2", "model 0", "none"])

    def answer(name, request):
        return next(replies) if request.purpose == "select" else "abcd"

    response, _ = play(answer, selector_decision="generate")
    notes = dict(response.notes)
    # A reply is cut after eight tokens, here characters: "I take 1" names the second member
    assert notes["patches"][:2] == [1, 0]
    assert notes["patches"][2] in (0, 1, 2)
    assert notes["unread_choices"] == 1


def test_what_is_missing_is_named():
    with pytest.raises(HyperparameterError, match="needs selector_model_name"):
        make_method(NAME, {})
    method = make_method(NAME, {"selector_model_name": "./nowhere"})
    with pytest.raises(NeedsError, match=r"selector_model_name is './nowhere', which is no member"):
        testing.check(method, POOL, TASK)
    with pytest.raises(HyperparameterError, match="patch_size is 0"):
        make_method(NAME, {"selector_model_name": "dummy:0", "patch_size": 0})


@pytest.mark.parametrize("decision", ["logprob", "generate"])
def test_members_of_different_vocabularies_write_together(decision, tmp_path):
    odd = testing.dummy_member("odd", 5, tokenizer=testing.dummy_tokenizer(True), hidden_size=24)
    odd.save(tmp_path)
    pool = type(POOL)([POOL[0], odd])
    bench = testing.workbench(pool, TASK.dev, sampling=Sampling(max_new_tokens=12))
    settings = {"selector_model_name": str(tmp_path), "patch_size": 3}
    settings["selector_decision"] = decision
    (response,) = make_method(NAME, settings).fit(bench).respond([ITEM], bench)
    assert 1 <= len(dict(response.notes)["patches"]) <= 4
    written = [turn.text for turn in response.transcript[1:] if turn.role == "answer"]
    assert "".join(written) == response.text
