"""The engine: what determines a text, what is cached, what is charged, what is cut."""

import collections
import dataclasses

import jax
import numpy as np
import pytest

from moco_jax.decoding import schedule
from moco_jax.decoding.combine import WEIGHTED_LOGITS, Choice, Combine
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.types import Message, Request, Response, Sampling
from moco_jax.models.identity import with_ends
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


def step(sign):
    def chosen(theta, carry, keys, logits, aux):
        return carry, Choice(logits=sign * logits[0])

    return Combine(chosen, name="mine")


def test_an_edited_policy_is_not_answered_from_the_store():
    store = DictStore()
    both = POOL[:2]
    found = [
        Engine(store=store, width=4).join(both, ASKED, GREEDY, step(sign)) for sign in (1, -1, 1)
    ]
    fresh = Engine(width=4).join(both, ASKED, GREEDY, step(-1))
    assert texts(found[1]) == texts(fresh) != texts(found[0]) == texts(found[2])
    assert len(store) == 2 * len(ASKED)


def test_a_helper_of_a_policy_that_was_defined_again_is_compiled_anew():
    space = {"Choice": Choice, "__name__": "__main__"}
    exec("def chosen(theta, carry, keys, logits, aux):\n    return carry, told(logits)", space)
    found = []
    for sign in ("", "-"):
        exec(f"def told(logits):\n    return Choice({sign}logits[0])", space)
        combine = Combine(space["chosen"], name="mine")
        found.append(texts(Engine(width=4).join(POOL[:2], ASKED, GREEDY, combine)))
    assert found[0] != found[1]


def test_draws_follow_from_no_code_and_no_name():
    def same(theta, carry, keys, logits, aux):
        """As `step(1)`, written otherwise."""
        first = logits[0]
        return carry, Choice(first)

    store = DictStore()
    wanted = Engine(seed=1, store=store, width=4).join(POOL[:2], ASKED, DRAWN, step(1))
    renamed = [
        dataclasses.replace(member, identity=f"another {number}")
        for number, member in enumerate(POOL[:2])
    ]
    for members, combine in ((POOL[:2], Combine(same, name="mine")), (renamed, step(1))):
        found = Engine(seed=1, store=store, width=4).join(members, ASKED, DRAWN, combine)
        assert texts(found) == texts(wanted)
    assert len(store) == 3 * len(ASKED)
    made = POOL[0].derive("made", POOL[0].params, "a recipe")
    assert texts(ask(Engine(seed=1), made)) == texts(ask(Engine(seed=1)))


def test_end_tokens_and_own_settings_tell_members_apart():
    store = DictStore()
    question, ends = ASKED[3], POOL[0].info.generation_config
    (first,) = ask(Engine(), requests=[question], sampling=GREEDY)
    assert len({*first.tokens[:2], *POOL[0].eos}) == 3
    info = dataclasses.replace(
        POOL[0].info, generation_config={**ends, "eos_token_id": first.tokens[1]}
    )
    identity = with_ends(POOL[0].draws, info.eos)
    assert identity != POOL[0].identity == with_ends(POOL[0].draws, POOL[0].eos)
    other = dataclasses.replace(POOL[0], info=info, identity=identity)
    found = ask(Engine(store=store), other, [question], GREEDY)[0]
    kept = ask(Engine(store=store), requests=[question], sampling=GREEDY)[0]
    assert (found.tokens, kept.tokens) == (first.tokens[:2], first.tokens)
    both = Engine(store=store).ask([other, POOL[0]], [question] * 2, GREEDY)
    assert texts(both) == [found.tokens, kept.tokens]
    own = [
        dataclasses.replace(POOL[0], info=dataclasses.replace(POOL[0].info, generation_config=one))
        for one in ({"do_sample": True, "temperature": 9.0}, {"do_sample": False})
    ]
    asked = dataclasses.replace(DRAWN, use_generation_config=True)
    drawn, plain = Engine(seed=3).ask(own, [question] * 2, asked)
    assert plain.tokens == first.tokens != drawn.tokens


def test_what_did_not_fit_once_is_not_tried_again(monkeypatch):
    plain, widths = schedule.run, []

    def run(machine, jobs, stopped):
        widths.append(machine.width)
        if machine.width > 2:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: no room")
        yield from plain(machine, jobs, stopped)

    monkeypatch.setattr(schedule, "run", run)
    engine = Engine(seed=1)
    ask(engine)
    assert widths == [8, 4, 2]
    ask(engine)
    assert widths == [8, 4, 2, 2]


def test_scores_that_are_known_need_no_weights():
    store = DictStore()
    found = Engine(store=store).score([POOL[0]] * 6, ASKED, ["A"] * 6)

    class Nothing:
        def weights(self, groups, weights):
            raise AssertionError("weights were brought to the device")

    engine = Engine(store=store, residency=Nothing())
    assert engine.score([POOL[0]] * 6, ASKED, ["A"] * 6) == found


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
    assert (refused.finish, refused.text, refused.usage.forwards) == ("over_length", "", 0)
    cutting = Sampling(max_new_tokens=8, temperature=0.0, overflow="truncate")
    (cut,) = Engine().ask([member], long, cutting)
    assert cut.finish != "over_length"
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
