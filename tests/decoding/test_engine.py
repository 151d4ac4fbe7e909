"""The engine: what determines a text, what is cached, what is charged, what is cut."""

import collections
import dataclasses

import jax
import numpy as np
import pytest

from moco_jax.decoding import schedule
from moco_jax.decoding.combine import WEIGHTED_LOGITS
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.types import Message, Request, Response, Sampling
from moco_jax.testing import dummy_member, dummy_pool, dummy_tokenizer

DRAWN = Sampling(max_new_tokens=8, temperature=3.0, top_p=1.0)
GREEDY = Sampling(max_new_tokens=8, temperature=0.0)
POOL = dummy_pool(3)
QUESTIONS = [f"{chr(97 + 5 * i) * 30}?" for i in range(6)]
ASKED = [Request.user(text, item=f"test/{i}") for i, text in enumerate(QUESTIONS)]


class DictStore(dict):
    """A store that can be looked into."""

    def put(self, key, record):
        assert key not in self, "computed twice"
        self[key] = record


def ask(engine, member=POOL[0], requests=ASKED, sampling=DRAWN):
    return engine.ask([member] * len(requests), requests, sampling)


def texts(responses):
    return [response.tokens for response in responses]


def test_order_and_company_change_nothing():
    whole = texts(ask(Engine(seed=1, width=4)))
    backwards = texts(ask(Engine(seed=1, width=4), requests=ASKED[::-1]))
    some = texts(ask(Engine(seed=1, width=4), requests=ASKED[2:4]))
    assert backwards == whole[::-1]
    assert some == whole[2:4]
    assert texts(ask(Engine(seed=2, width=4))) != whole


def test_members_in_one_call_answer_as_if_alone():
    engine = Engine(seed=1, width=4)
    members = [POOL[i % 3] for i in range(6)]
    mixed = engine.ask(members, ASKED, DRAWN)
    for index in range(3):
        alone = ask(Engine(seed=1, width=4), POOL[index], ASKED[index::3])
        assert texts(alone) == texts(mixed[index::3])
    assert [response.speaker for response in mixed] == [member.name for member in members]


def test_a_question_asked_again_is_the_next_sample():
    engine = Engine(seed=1, width=4)
    first, again = texts(ask(engine)), texts(ask(engine))
    assert first != again
    twice = Engine(seed=1, width=4).ask([POOL[0]] * 12, ASKED + ASKED, DRAWN)
    assert texts(twice) == first + again


def test_purpose_and_sample_are_part_of_the_draw():
    plain = texts(ask(Engine(seed=1)))
    judged = [Request.user(text, purpose="judge") for text in QUESTIONS]
    sampled = [Request.user(text, sample=1) for text in QUESTIONS]
    assert texts(ask(Engine(seed=1), requests=judged)) != plain
    assert texts(ask(Engine(seed=1), requests=sampled)) != plain
    assert texts(ask(Engine(seed=1), requests=judged, sampling=GREEDY)) == texts(
        ask(Engine(seed=9), sampling=GREEDY)
    )


def test_finished_answers_are_never_computed_twice():
    store = DictStore()
    first = ask(Engine(seed=1, width=4, store=store))
    assert ask(Engine(seed=1, width=4, store=store)) == first
    greedy = ask(Engine(seed=1, width=4, store=store), sampling=GREEDY)
    size = len(store)
    elsewhere = Engine(seed=5, width=4, store=store)
    again = [Request.user(r.messages[0].content, purpose="dev") for r in ASKED]
    assert texts(ask(elsewhere, requests=again, sampling=GREEDY)) == texts(greedy)
    assert len(store) == size


def test_an_interrupted_call_goes_on_where_it_was(monkeypatch):
    whole = ask(Engine(seed=1, width=2, chunk=2))
    store, run = DictStore(), schedule.run

    def dies(*args):
        for count, finished in enumerate(run(*args)):
            if count == 3:
                raise KeyboardInterrupt
            yield finished

    monkeypatch.setattr(schedule, "run", dies)
    with pytest.raises(KeyboardInterrupt):
        ask(Engine(seed=1, width=2, chunk=2, store=store))
    assert len(store) == 3
    monkeypatch.setattr(schedule, "run", run)
    assert ask(Engine(seed=1, width=2, chunk=2, store=store)) == whole


def test_memory_errors_halve_the_batch(monkeypatch):
    widths, run = [], schedule.run

    def small_device(machine, *args):
        widths.append(machine.width)
        if machine.width > 2:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        yield from run(machine, *args)

    monkeypatch.setattr(schedule, "run", small_device)
    engine = Engine(seed=1, width=8)
    responses = ask(engine)
    assert widths == [8, 4, 2]
    assert engine.width == 2
    monkeypatch.setattr(schedule, "run", run)
    assert texts(responses) == texts(ask(Engine(seed=1, width=2)))


def test_charges_add_up_and_name_what_was_cached():
    charges = []
    engine = Engine(seed=1, store=DictStore(), meter=charges.append)
    responses = ask(engine, sampling=GREEDY)
    assert sum(charge.usage.new_tokens for charge in charges) == sum(
        response.usage.new_tokens for response in responses
    )
    assert all(c.member == POOL[0].name and c.purpose == "answer" for c in charges)
    charges.clear()
    ask(engine, sampling=GREEDY)
    assert len(charges) == len(ASKED)
    assert all(charge.cached for charge in charges)
    assert all(charge.usage.flops > 0 for charge in charges)


def test_joined_members_are_charged_one_by_one():
    charges = []
    engine = Engine(seed=1, meter=charges.append)
    weights = np.full((len(ASKED), 2), 0.5, np.float32)
    merged = POOL[1].derive("a+b", POOL[1].params, "same")
    responses = engine.join([POOL[0], merged], ASKED, GREEDY, WEIGHTED_LOGITS, weights)
    assert collections.Counter(charge.member for charge in charges) == {
        POOL[0].name: len(ASKED),
        "a+b": len(ASKED),
    }
    assert responses[0].speaker == f"{POOL[0].name}+a+b"
    assert responses[0].usage.forwards == 2 * (1 + len(responses[0].tokens))


def test_one_joined_member_is_that_member():
    weights = np.array([[1.0, 0.0]] * len(ASKED), np.float32)
    joined = Engine().join([POOL[1], POOL[2]], ASKED, GREEDY, WEIGHTED_LOGITS, weights)
    assert texts(joined) == texts(ask(Engine(), POOL[1], sampling=GREEDY))


def test_members_of_different_vocabularies_do_not_join():
    stranger = dummy_member("stranger", 7, tokenizer=dummy_tokenizer(backwards=True))
    with pytest.raises(ValueError, match="different vocabularies"):
        Engine().join([POOL[0], stranger], ASKED, GREEDY, WEIGHTED_LOGITS, np.ones((6, 2)))


def test_long_prompts_are_refused_or_visibly_cut():
    member = dummy_member("short", 0, max_positions=64)
    long = [Request.user("x" * 100)]
    (refused,) = Engine().ask([member], long, GREEDY)
    assert (refused.finish, refused.text, refused.usage.forwards) == ("prompt_too_long", "", 0)
    cutting = Sampling(max_new_tokens=8, temperature=0.0, overflow="cut_middle")
    (cut,) = Engine().ask([member], long, cutting)
    assert cut.finish != "prompt_too_long"
    assert cut.cut_tokens > 0
    assert cut.usage.prompt_tokens + cut.cut_tokens == 100 + len(
        member.template.render([("user", "")])
    )


def test_answers_stop_at_stop_strings_and_keep_no_more_tokens():
    free = ask(Engine(), sampling=Sampling(max_new_tokens=8, temperature=0.0))
    text = next(response.text for response in free if len(response.text) >= 2)
    stop = text[1]
    stopped = ask(
        Engine(chunk=3), sampling=Sampling(max_new_tokens=8, temperature=0.0, stop=(stop,))
    )
    for before, after in zip(free, stopped, strict=True):
        if stop in before.text:
            assert after.text == before.text[: before.text.index(stop)]
            assert after.finish == "stop"
            assert after.tokens == before.tokens[: len(after.tokens)]
            assert len(after.logprobs) == len(after.tokens) <= len(before.tokens)
        else:
            assert after.text == before.text


def test_scores_are_those_of_the_generated_tokens():
    engine = Engine()
    responses = ask(engine, sampling=GREEDY)
    plain = [index for index, response in enumerate(responses) if response.text.isascii()]
    spoken = [index for index in plain if responses[index].text]
    assert spoken
    scores = engine.score(
        [POOL[0]] * len(spoken),
        [ASKED[index] for index in spoken],
        [responses[index].text for index in spoken],
    )
    for index, found in zip(spoken, scores, strict=True):
        np.testing.assert_allclose(found, responses[index].logprobs[: len(found)], atol=2e-5)


def test_prefix_and_turns_reach_the_member():
    turns = Request(
        (Message("user", "one"), Message("assistant", "two"), Message("user", "three")),
        prefix="so ",
    )
    tokens = POOL[0].template.render(turns.messages, "so ")
    (response,) = Engine().ask([POOL[0]], [turns], GREEDY)
    assert response.usage.prompt_tokens == len(tokens)
    assert POOL[0].tokenizer.decode(tokens).endswith("three<|end|><|assistant|>so ")


def test_a_checkpoint_may_bring_its_own_sampling():
    info = dataclasses.replace(POOL[0].info, generation_config={"do_sample": False, "top_k": 3})
    member = dataclasses.replace(POOL[0], info=info)
    own = Sampling(max_new_tokens=8, temperature=1.0, use_generation_config=True)
    assert texts(ask(Engine(), member, sampling=own)) == texts(ask(Engine(), sampling=GREEDY))


def test_responses_survive_json():
    (response,) = ask(Engine(), requests=ASKED[:1])
    assert Response.from_json(response.to_json()) == response
