"""Labels weighed as replies: against scores, by whom, and what does not fit."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax import testing
from moco_jax.decoding.floor import Protocol
from moco_jax.decoding.types import Request, Turn, Usage
from moco_jax.methods.labels import as_reply, label_probabilities, weigh

POOL = testing.dummy_pool(2)
END = testing.members.END
OTHER = testing.dummy_member("other", 9)
TASK = testing.dummy_task("multiple_choice", 2)
ASK = Request.user("which one?", item="a", purpose="judge")


def test_labels_of_members_and_other_models_are_their_scores():
    bench = testing.workbench(POOL, TASK.dev)
    labels = ["A", "no"]
    for who in (1, OTHER):
        (found,) = weigh(bench, [(who, ASK)], labels)
        scores = bench.score([(who, ASK)] * 2, [label + END for label in labels])
        np.testing.assert_allclose(found.logprobs, [sum(one) for one in scores], rtol=1e-6)
        odds = np.exp(found.logprobs[0] - found.logprobs[1])
        ((shares, usage),) = label_probabilities(bench, [(who, ASK)], labels)
        assert shares[0] / shares[1] == pytest.approx(odds)
        assert sum(shares) == pytest.approx(1.0)
        prompt = len(POOL[1].template.render(ASK.messages))
        assert (usage.prompt_tokens, usage.new_tokens, usage.forwards) == (prompt + 5, 0, 2)


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
    scores = bench.score([(thinker, closed)] * 2, [f"A{END}", f"no{END}"])
    np.testing.assert_allclose(found.logprobs, [sum(one) for one in scores], rtol=1e-6)


def test_there_is_room_for_the_longest_label():
    engine = testing.ScriptedEngine(lambda *_: "", lambda *_: -1.0)
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    room = POOL[0].config.max_positions - len(POOL[0].template.render(Request.user("").messages))
    asks = [(0, Request.user("a" * (room - spare), purpose="judge")) for spare in (3, 4)]
    assert [one.fits for one in weigh(bench, asks, ("yes", "n"))] == [False, True]


def chain(table, tokenizer=None, **settings):
    """A member whose next token follows from the last alone: {token: {next token: probability}}."""
    base = testing.dummy_member(
        "chain", 0, tokenizer=tokenizer, hidden_size=8 * (len(testing.dummy_tokenizer()) // 8 + 1)
    )
    speaks, params = base.tokenizer, jax.tree.map(jnp.zeros_like, base.params)
    size, wide = params["embed_tokens"]["embedding"].shape
    logits = np.full((wide, size), -30.0, np.float32)
    for last, chances in table.items():
        for token, chance in chances.items():
            ids = [speaks.convert_tokens_to_ids(one) for one in (last, token)]
            logits[tuple(ids)] = np.log(chance)
    params["embed_tokens"]["embedding"] = jnp.eye(size, wide)
    params["norm"]["scale"] = jnp.ones(wide) / np.sqrt(wide)
    params["lm_head"]["kernel"] = jnp.asarray(logits.T)
    info = dataclasses.replace(base.info, **settings)
    return dataclasses.replace(
        base, info=info, weights=params, identity=f"chain {table} {settings}"
    )


NUMBERS = {
    "<|assistant|>": {"2": 0.5, "1": 0.3, "7": 0.2},
    "1": {"0": 0.95, END: 0.05},
    "2": {END: 0.99, "0": 0.01},
    "0": {END: 1.0},
}


def test_numbers_that_begin_alike_are_told_apart():
    member, labels = chain(NUMBERS), [str(number) for number in range(1, 11)]
    bench = testing.workbench(POOL, TASK.dev)
    (found,) = weigh(bench, [(member, ASK)], labels)
    chances = dict(zip(labels, np.exp(found.logprobs).tolist(), strict=True))
    assert chances["2"] == pytest.approx(0.5 * 0.99, rel=1e-3)
    assert chances["10"] == pytest.approx(0.3 * 0.95, rel=1e-3)
    assert chances["1"] == pytest.approx(0.3 * 0.05, rel=1e-3)
    assert as_reply(bench, (member, ASK), found, labels).text == "2"
    on_the_floor = []

    def play(floor):
        on_the_floor.extend(floor.score(0, floor.open, labels, read=[ASK] * len(floor.open)))
        floor.finish(floor.open)

    bench.engine.take_turns([member], [ASK], testing.SHORT, Protocol(play, "asks"))
    np.testing.assert_allclose([sum(one) for one in on_the_floor[0]], found.logprobs, rtol=1e-4)


@pytest.mark.parametrize(("written", "ends"), [("", "\n"), ("<|user|>.", "<|user|>.")])
def test_a_member_without_end_tokens_ends_as_its_template_does(written, ends):
    tokenizer = testing.dummy_tokenizer()
    tokenizer.eos_token = None
    tokenizer.chat_template = tokenizer.chat_template.replace(END, written)
    raw = {**POOL[0].info.raw_config, "eos_token_id": None}
    info = dataclasses.replace(POOL[0].info, tokenizer=tokenizer, raw_config=raw)
    member = dataclasses.replace(POOL[0], info=info, identity=f"endless {written}")
    assert member.eos == ()
    bench = testing.workbench(POOL, TASK.dev)
    (found,) = weigh(bench, [(member, ASK)], ["1", "10"])
    scores = bench.score([(member, ASK)] * 2, [f"1{ends}", f"10{ends}"])
    np.testing.assert_allclose(found.logprobs, [sum(one) for one in scores], rtol=1e-6)


def test_the_end_that_the_template_writes_is_taken_of_several():
    user = POOL[0].tokenizer.convert_tokens_to_ids("<|user|>")
    tokenizer = testing.dummy_tokenizer()
    tokenizer.chat_template = tokenizer.chat_template.replace(f"'{END}'", "'\\n<|user|>'")
    info = dataclasses.replace(
        POOL[0].info, tokenizer=tokenizer, generation_config={"eos_token_id": [0, user]}
    )
    member = dataclasses.replace(POOL[0], info=info, identity="two ends")
    bench = testing.workbench(POOL, TASK.dev)
    (found,) = weigh(bench, [(member, ASK)], ["1"])
    (score,) = bench.score([(member, ASK)], ["1<|user|>"])
    np.testing.assert_allclose(found.logprobs, [sum(score)], rtol=1e-6)
