"""Labels weighed as replies: against scores, by whom, and what does not fit."""

import dataclasses

import numpy as np
import pytest

from moco_jax import testing
from moco_jax.decoding.types import Request, Turn, Usage
from moco_jax.methods.labels import as_reply, label_probabilities, weigh

POOL = testing.dummy_pool(2)
OTHER = testing.dummy_member("other", 9)
TASK = testing.dummy_task("multiple_choice", 2)
ASK = Request.user("which one?", item="a", purpose="judge")


def test_labels_of_members_and_other_models_are_their_scores():
    bench = testing.workbench(POOL, TASK.dev)
    labels = ["A", "no"]
    for who in (1, OTHER):
        (found,) = weigh(bench, [(who, ASK)], labels)
        scores = bench.score([(who, ASK)] * 2, labels)
        np.testing.assert_allclose(found.logprobs, [sum(one) / len(one) for one in scores])
        odds = np.exp(found.logprobs[0] - found.logprobs[1])
        ((shares, usage),) = label_probabilities(bench, [(who, ASK)], labels)
        assert shares[0] / shares[1] == pytest.approx(odds)
        assert sum(shares) == pytest.approx(1.0)
        prompt = len(POOL[1].template.render(ASK.messages))
        assert (usage.prompt_tokens, usage.new_tokens, usage.forwards) == (prompt + 3, 0, 2)


def test_the_likeliest_label_is_a_reply():
    engine = testing.ScriptedEngine(lambda *_: "", lambda *ask: {"yes": -2.0, "no": -1.0}[ask[2]])
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    (found,) = weigh(bench, [(1, ASK)], ("yes", "no"))
    reply = as_reply(bench, (1, ASK), found, ("yes", "no"))
    assert (reply.text, reply.speaker, reply.usage) == ("no", "dummy:1", found.usage)
    assert reply.transcript == (
        Turn("user", "judge", "which one?"),
        Turn("dummy:1", "judge", "no"),
    )


def test_a_prompt_beyond_the_context_is_not_asked():
    engine = testing.ScriptedEngine(lambda *_: "", lambda *_: -1.0)
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    long = Request.user("a" * 2000, purpose="judge")
    found = weigh(bench, [(0, long), (0, ASK)], ("yes", "no"))
    assert [one.fits for one in found] == [False, True]
    assert len(engine.scored) == 2
    assert found[0].probabilities == [0.5, 0.5]
    reply = as_reply(bench, (0, long), found[0], ("yes", "no"))
    assert (reply.text, reply.finish, reply.usage) == ("", "over_length", Usage())
    assert len(reply.transcript) == 1


def test_a_member_that_reasons_is_asked_for_the_label_at_once():
    thoughtful = testing.dummy_tokenizer()
    thoughtful.chat_template += "{% if add_generation_prompt %}<think>{% endif %}"
    info = dataclasses.replace(POOL[0].info, tokenizer=thoughtful)
    thinker = dataclasses.replace(POOL[0], info=info)
    bench = testing.workbench(POOL, TASK.dev)
    (found,) = weigh(bench, [(thinker, ASK)], ["A", "no"])
    closed = dataclasses.replace(ASK, prefix="\n</think>\n\n")
    scores = bench.score([(thinker, closed)] * 2, ["A", "no"])
    np.testing.assert_allclose(found.logprobs, [sum(one) / len(one) for one in scores])


def test_there_is_room_for_the_longest_label():
    engine = testing.ScriptedEngine(lambda *_: "", lambda *_: -1.0)
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    room = POOL[0].config.max_positions - len(POOL[0].template.render(Request.user("").messages))
    asks = [(0, Request.user("a" * (room - spare), purpose="judge")) for spare in (2, 3)]
    assert [one.fits for one in weigh(bench, asks, ("yes", "n"))] == [False, True]
