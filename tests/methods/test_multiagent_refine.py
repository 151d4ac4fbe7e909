"""The debate: whole transcripts against hand-written ones."""

import pytest

from moco_jax import testing
from moco_jax.decoding.types import Response, Usage
from moco_jax.method import NeedsError
from moco_jax.methods import make_method, prompts

POOL = testing.dummy_pool(3)
TASK = testing.dummy_task("multiple_choice", 2)
ITEM = TASK.test.items[0]


def script(name, request):
    """dummy:2 is best on dev; in the debate everyone says its name and the round."""
    if request.purpose == "dev":
        return "A" if name == "dummy:2" else "none"
    return f"{name} in {request.purpose}"


def run(answer=script, items=TASK.test.items[:1], **settings):
    engine = testing.ScriptedEngine(answer)
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    system = make_method("text_multiagent_refine", settings).fit(bench)
    engine.calls.clear()
    return system.respond(items, bench), engine


def test_two_rounds_and_a_summary():
    (response,), engine = run(round=2)
    first = [f"dummy:{who} in answer" for who in range(3)]
    second = [f"dummy:{who} in refine round 2" for who in range(3)]
    refinements = [
        prompts.refine(ITEM.prompt, first[0], [first[1], first[2]]),
        prompts.refine(ITEM.prompt, first[1], [first[0], first[2]]),
        prompts.refine(ITEM.prompt, first[2], [first[0], first[1]]),
    ]
    wanted = []
    for who in range(3):
        wanted += [("user", "answer", ITEM.prompt), (f"dummy:{who}", "answer", first[who])]
    for who in range(3):
        wanted += [
            ("user", "refine round 2", refinements[who]),
            (f"dummy:{who}", "refine round 2", second[who]),
        ]
    wanted += [
        ("user", "summarise", prompts.summarise(ITEM.prompt, second)),
        ("dummy:2", "summarise", "dummy:2 in summarise"),
    ]
    assert [(t.speaker, t.role, t.text) for t in response.transcript] == wanted
    assert response.text == "dummy:2 in summarise"
    assert response.speaker == "dummy:2"
    assert engine.calls == [3, 3, 1]
    read = sum(len(text) for speaker, _, text in wanted if speaker == "user")
    written = sum(len(text) for speaker, _, text in wanted if speaker != "user")
    assert response.usage == Usage(read, written, 7 + written)


def test_one_round_is_no_debate():
    (response,), engine = run(round=1)
    assert engine.calls == [3, 1]
    assert dict(response.notes)["rounds"] == 1


def test_quoted_answers_are_cut_visibly():
    _, engine = run(round=2, max_answer_characters=5)
    asked = engine.asked[-1][1].messages[-1].content
    assert asked == prompts.summarise(ITEM.prompt, ["dummy [...]"] * 3)


def long_answers(name, request):
    if request.purpose != "answer":
        return "refined"
    return "last" if name == "dummy:2" else "x" * 600


def test_old_answers_are_left_out_where_asked_to():
    (response,), engine = run(long_answers, round=2, context_policy="oldest_first")
    asked = {name: r.messages[0].content for name, r in engine.asked if r.purpose[:6] == "refine"}
    assert asked == {
        "dummy:0": prompts.refine(ITEM.prompt, "x" * 600, ["[1 left out]", "last"]),
        "dummy:1": prompts.refine(ITEM.prompt, "x" * 600, ["[1 left out]", "last"]),
        "dummy:2": prompts.refine(ITEM.prompt, "last", ["[1 left out]", "x" * 600]),
    }
    assert dict(response.notes)["context"] == {"dropped": 3}


def test_answers_are_cut_evenly_where_asked_to():
    (response,), engine = run(long_answers, round=1, context_policy="shorten")
    asked = engine.asked[-1][1].messages[0].content
    first, second, third = asked.split("- ")[1:]
    assert first == second
    assert first.startswith("xxx")
    assert "xxx [...] xxx" in first
    assert third.startswith("last\n")
    assert len(asked) <= 1024 - 4 - 3
    assert dict(response.notes)["context"] == {"shortened": 2}


def letters(votes):
    """Members vote as `votes` says, [item][member]; all are equally good on dev."""

    def answer(name, request):
        split, index = request.item.split("/")
        return "A" if split == "dev" else votes[int(index)][int(name[-1])]

    return answer


def test_a_vote_may_have_the_last_word():
    (response,), engine = run(letters([["A", "C", "(C)"]]), round=1, final="vote")
    assert response.text == "C"
    assert response.speaker == "dummy:1"
    assert engine.calls == [3]


def test_a_tied_vote_follows_the_best_on_dev():
    def answer(name, request):
        if request.purpose == "dev":
            return "A" if name == "dummy:2" else "none"
        return {"dummy:0": "A", "dummy:1": "", "dummy:2": "B"}[name]

    (response,), _ = run(answer, round=1, final="vote")
    assert response.text == "B"


def test_agreement_ends_a_debate_early():
    votes = letters([["A", "(A)", "A"], ["A", "B", "A"]])
    responses, engine = run(votes, TASK.test.items, round=3, early_stop=True)
    assert engine.calls == [6, 3, 3, 1]
    agreed, debated = responses
    assert dict(agreed.notes) == {"chosen": "dummy:0", "rounds": 1, "agreed": True}
    assert agreed.text == "A"
    assert len(agreed.transcript) == 2 * 3
    assert dict(debated.notes)["rounds"] == 3
    assert len(debated.transcript) == 2 * (9 + 1)


def test_silence_is_no_agreement():
    (response,), _ = run(letters([["", "", ""]]), round=2, early_stop=True)
    assert dict(response.notes)["rounds"] == 2


def test_comparing_answers_needs_a_kind_that_has_them():
    task = testing.dummy_task("text_generation", 2)
    with pytest.raises(NeedsError, match="this one is text_generation"):
        testing.check(make_method("text_multiagent_refine", {"final": "vote"}), POOL, task)


@pytest.mark.parametrize("method", ["text_multiagent_refine", "text_structure"])
def test_who_cannot_read_the_others_keeps_its_answer(method):
    def answer(name, request):
        if request.purpose.startswith("refine") and name != "dummy:1":
            return Response("", finish="over_length")
        return script(name, request)

    engine = testing.ScriptedEngine(answer)
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    settings = {"round": 2} if method == "text_multiagent_refine" else {}
    settings |= {"structure_type": "complete"} if method == "text_structure" else {}
    (response,) = make_method(method, settings).fit(bench).respond([ITEM], bench)
    refused = dict(response.notes)["context"]["refused"]
    if method == "text_structure":
        assert (response.text, refused) == ("dummy:2 in answer", 3)
        return
    quotes = ["dummy:0 in answer", "dummy:1 in refine round 2", "dummy:2 in answer"]
    assert response.transcript[-2].text == prompts.summarise(ITEM.prompt, quotes)
    assert refused == 2
