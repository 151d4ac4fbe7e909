"""Feedback: whole transcripts against hand-written ones, and who criticises whom."""

import collections
import dataclasses

import pytest

from moco_jax import testing
from moco_jax.decoding.types import Usage
from moco_jax.method import NeedsError
from moco_jax.methods import make_method, prompts
from moco_jax.tasks import score_items

POOL = testing.dummy_pool(3)
TASK = testing.dummy_task("multiple_choice", 2)
ITEM = TASK.test.items[0]


def script(name, request):
    """dummy:2 is best on dev; everyone says its name and the purpose."""
    if request.purpose == "dev":
        return "A" if name == "dummy:2" else "none"
    return f"{name} {request.purpose}"


def fitted(answer=script, pool=POOL, task=TASK, logprob=testing.scripted.unscripted, **settings):
    engine = testing.ScriptedEngine(answer, logprob)
    bench = testing.workbench(pool, task.dev, engine=engine)
    system = make_method("text_multiagent_feedback", settings).fit(bench)
    engine.calls.clear()
    engine.asked.clear()
    return system, bench, engine


def run(answer=script, items=TASK.test.items[:1], **settings):
    system, bench, engine = fitted(answer, **settings)
    return system.respond(items, bench), engine


def turns(response):
    return [(turn.speaker, turn.role, turn.text) for turn in response.transcript]


def test_answers_remarks_revisions_and_a_summary():
    (response,), engine = run(round=2)
    answers = [f"dummy:{who} answer" for who in range(3)]
    remarks = [f"dummy:{who} feedback round 2" for who in range(3)]
    revised = [f"dummy:{who} revise round 2" for who in range(3)]
    wanted = []
    for who in range(3):
        wanted += [("user", "answer", ITEM.prompt), (f"dummy:{who}", "answer", answers[who])]
    for author, critics in enumerate([(1, 2), (0, 2), (0, 1)]):
        for critic in critics:
            wanted += [
                ("user", "feedback round 2", prompts.critique(ITEM.prompt, answers[author])),
                (f"dummy:{critic}", "feedback round 2", remarks[critic]),
            ]
    for author, critics in enumerate([(1, 2), (0, 2), (0, 1)]):
        heard = [remarks[critic] for critic in critics]
        asked = (
            f"{ITEM.prompt}\n\nYour answer:\n- {answers[author]}\n\n"
            f"Remarks:\n- {heard[0]}\n- {heard[1]}\n\nGive your best answer to the question."
        )
        wanted += [
            ("user", "revise round 2", asked),
            (f"dummy:{author}", "revise round 2", revised[author]),
        ]
    wanted += [
        ("user", "summarise", prompts.summarise(ITEM.prompt, revised)),
        ("dummy:2", "summarise", "dummy:2 summarise"),
    ]
    assert turns(response) == wanted
    assert response.text == "dummy:2 summarise"
    assert response.notes == (("chosen", "dummy:2"), ("rounds", 2))
    assert engine.calls == [3, 6, 3, 1]
    read = sum(len(text) for speaker, _, text in wanted if speaker == "user")
    written = sum(len(text) for speaker, _, text in wanted if speaker != "user")
    assert response.usage == Usage(read, written, 13 + written)


def test_each_round_is_about_the_answers_of_the_one_before():
    _, engine = run(round=3)
    assert engine.calls == [3, 6, 3, 6, 3, 1]
    asked = [r.messages[0].content for _, r in engine.asked if r.purpose == "feedback round 3"]
    assert set(asked) == {
        prompts.critique(ITEM.prompt, f"dummy:{who} revise round 2") for who in range(3)
    }


def test_one_round_is_no_feedback():
    _, engine = run(round=1)
    assert engine.calls == [3, 1]


def critics_of(engine, purpose="feedback round 2"):
    """Who spoke about whose answer, [(item, author, critic)]."""
    return [
        (r.item, r.messages[0].content.split("An answer:\n- ")[1].split()[0], name)
        for name, r in engine.asked
        if r.purpose == purpose
    ]


def test_critics_are_others_drawn_without_repetition_and_evenly():
    pool = testing.dummy_pool(4)
    items = [dataclasses.replace(ITEM, id=f"test/{n}", occurrence=n) for n in range(300)]
    _, engine = run(items=items, pool=pool, round=2, feedback_count=2)
    heard = collections.defaultdict(list)
    for item, author, critic in critics_of(engine):
        heard[item, author].append(critic)
    assert len(heard) == 4 * 300
    for (_, author), critics in heard.items():
        assert len(set(critics)) == 2
        assert author not in critics
    pairs = collections.Counter((author, tuple(critics)) for (_, author), critics in heard.items())
    # Each author has three pairs of critics; 100 expected, standard deviation 8
    assert len(pairs) == 4 * 3
    assert all(65 < count < 135 for count in pairs.values())


def test_critics_follow_the_seed_and_the_item_alone():
    system, bench, engine = fitted(round=2, feedback_count=1)
    system.respond(TASK.test.items, bench)
    first = critics_of(engine)
    engine.asked.clear()
    system.respond(TASK.test.items[::-1], bench)
    assert sorted(critics_of(engine)) == sorted(first)
    engine.asked.clear()
    other = dataclasses.replace(bench, seed=3)
    system.respond(TASK.test.items, other)
    assert sorted(critics_of(engine)) != sorted(first)


ROWS = [{"input": f"Who wins race {n}?", "category": "Indeterminate requests"} for n in range(2)]
OPEN = dataclasses.replace(
    TASK,
    dev=testing.make_split("noncompliance", "dev", ROWS),
    test=testing.make_split("noncompliance", "test", ROWS),
)


def judged(name, request, label):
    """The writer thinks the answer to the first item wrong, that to the second right."""
    assert name == "dummy:0"
    return {"yes": -1.0, "no": -0.5 if request.item == "test/0" else -2.0}[label]


def test_an_answer_that_critics_show_wrong_is_given_up():
    settings = {"task": OPEN, "logprob": judged, "abstain": True, "round": 1}
    responses, engine = run(items=OPEN.test.items, feedback_count=1, **settings)
    assert engine.calls == [6, 2, 2]
    assert [response.text for response in responses] == ["I don't know.", "dummy:0 summarise"]
    for response, gave_up in zip(responses, (True, False), strict=True):
        notes = dict(response.notes)
        assert notes["abstained"] is gave_up
        assert notes["wrong"] == pytest.approx(0.6224593 if gave_up else 0.2689414)
        critic, verdict = turns(response)[-4:-2], turns(response)[-2:]
        item = OPEN.test.items[not gave_up]
        assert critic[0][2] == prompts.critique(item.prompt, "dummy:0 summarise")
        remark = critic[1][2]
        assert critic[1][0] in ("dummy:1", "dummy:2")
        assert verdict == [
            (
                "user",
                "judge",
                f"{item.prompt}\n\nAn answer:\n- dummy:0 summarise\n\nRemarks:\n- {remark}\n\n"
                "Is this answer right? Reply with yes or no.",
            ),
            ("dummy:0", "judge", "no" if gave_up else "yes"),
        ]


def test_abstention_is_credited_where_it_is_allowed():
    responses, _ = run(
        items=OPEN.test.items, task=OPEN, logprob=lambda *_: -1.0, abstain=True, round=1
    )
    # No more likely wrong than right: it stands
    assert all(response.text == "dummy:0 summarise" for response in responses)
    (score, _) = score_items(OPEN.test.items, OPEN.test.golds, ["I don't know."] * 2)
    assert score.value == 1


def test_abstention_needs_a_kind_that_credits_it():
    with pytest.raises(NeedsError, match="only tasks of kind noncompliance credit"):
        testing.check(make_method("text_multiagent_feedback", {"abstain": True}), POOL, TASK)


def test_quoted_texts_are_cut_where_asked_to():
    (response,), engine = run(
        lambda name, request: "A" if request.purpose == "dev" else "x" * 500,
        round=2,
        context_policy="shorten",
    )
    for _, request in engine.asked:
        assert len(request.messages[0].content) <= 1024 - 4 - 3
        assert ITEM.prompt in request.messages[0].content
    # Three revisions with two remarks and an answer each, and a summary of three answers
    assert dict(response.notes)["context"] == {"shortened": 3 * 3 + 3}


def test_the_last_thing_to_go_is_the_author_s_own_answer():
    def answer(name, request):
        return name[-1] + "x" * 500

    _, engine = run(answer, round=2, context_policy="oldest_first")
    asked = next(r for name, r in engine.asked if r.purpose == "revise round 2")
    own, remark = "0" + "x" * 500, "2" + "x" * 500
    assert asked.messages[0].content in (
        prompts.revise(ITEM.prompt, own, ["[1 left out]", remark]),
        prompts.revise(ITEM.prompt, own, ["[2 left out]"]),
    )
