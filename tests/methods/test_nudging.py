"""Nudging against a slow state machine that reads everything anew for every token."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from wordy import predict, wordy_pool

from moco_jax import testing
from moco_jax.decoding.combine import Aux
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.types import Request, Response, Sampling
from moco_jax.methods import make_method
from moco_jax.methods.api import nudge_turns
from moco_jax.methods.api.nudge_tokens import NudgeStep
from moco_jax.methods.api.nudging import Nudging, one_vocabulary
from moco_jax.pool import Pool
from moco_jax.runs.planning.engine import Memo
from moco_jax.system import Context

TOKENS = 24
TASK = testing.dummy_task("multiple_choice", 4)
PROMPTS = [item.prompt for item in TASK.dev.items]

POOL = wordy_pool(3)


def slow(base, nudger, prompt, gamma, base_end="stop", agreement=False):
    """The algorithm as it is written down: (tokens, who wrote each), and their probabilities."""
    request = Request.user(prompt)
    read = {m.name: list(m.template.render(request.messages)) for m in (base, nudger)}
    said, who, chances, mode, k = [], [], [], "nudge", 0
    while len(said) < TOKENS:
        likely = predict(base, read[base.name] + said)
        b = int(likely.argmax())
        other = predict(nudger, read[nudger.name] + said)
        n = int(other.argmax())
        text = nudger.tokenizer.decode([n], skip_special_tokens=True)
        spaced = any(letter in text for letter in " \n\t")
        sure = bool(likely[b] >= gamma)
        hand_over = sure or (agreement and mode == "nudge" and b == n)
        keeps = k == 0 or not spaced or not hand_over if mode == "nudge" else not sure
        ended = base_end == "nudge" and b in base.eos
        token, speaker = (n, 1) if keeps or ended else (b, 0)
        mode, k = ("nudge", k + 1) if speaker else ("base", 0)
        said.append(token)
        who.append(speaker)
        chances.append(other[n] if speaker else likely[b])
        if token in base.eos:
            break
    return (said, who), chances


def context(pool=POOL, temperature=0.0, **engine):
    sampling = Sampling(max_new_tokens=TOKENS, temperature=temperature)
    return Context(pool, Engine(width=8, **engine), sampling, 0)


def system(**settings):
    bench = testing.workbench(POOL, TASK.dev, engine=testing.ScriptedEngine(lambda *_: ""))
    return Nudging(**settings).fit(bench)


@pytest.mark.parametrize("settings", [{}, {"base_end": "nudge"}, {"agreement": True}])
def test_tokens_are_those_of_the_slow_state_machine(settings):
    gammas = [0.0, 0.3, 0.5, 0.7, 2.0]
    asks = [(Request.user(prompt), gamma) for gamma in gammas for prompt in PROMPTS]
    said = system(**settings).write(asks, context())
    wanted, chances = zip(
        *(
            slow(POOL[0], POOL[1], request.messages[0].content, gamma, **settings)
            for request, gamma in asks
        ),
        strict=True,
    )
    assert [(list(r.tokens), list(r.speakers)) for r in said] == list(wanted)
    for response, row in zip(said, chances, strict=True):
        np.testing.assert_allclose(np.exp(response.logprobs), row, rtol=1e-3)
    runs = {tuple(who) for _, who in wanted}
    assert len(runs) > 5


@pytest.mark.parametrize("settings", [{}, {"base_end": "nudge"}, {"agreement": True}])
def test_taking_turns_writes_the_same_text(settings):
    asks = [(Request.user(prompt), gamma) for gamma in (0.3, 0.5, 0.7) for prompt in PROMPTS]
    nudged = system(**settings)
    joint = nudged.write(asks, context())
    ends, agreement = nudged.base_end == "stop", nudged.agreement
    turns = nudge_turns.write(context(), (0, 1), asks, ends, agreement)
    for one, other in zip(joint, turns, strict=True):
        assert (one.text, one.finish) == (other.text, other.finish)
        assert [t.speaker for t in one.transcript] == [t.speaker for t in other.transcript]
        assert one.notes == other.notes


def test_gamma_says_who_is_heard():
    asks = [(Request.user(PROMPTS[0]), gamma) for gamma in (0.0, 2.0)]
    base, nudger = system().write(asks, context())
    assert base.speakers[0] == 1
    assert dict(base.notes)["nudges"] == 1
    assert set(nudger.speakers) == {1}
    assert dict(nudger.notes) == {"nudge_ratio": 1.0, "nudges": 1}
    (alone,) = context().ask([(1, Request.user(PROMPTS[0]))])
    assert nudger.text == alone.text


def test_whoever_is_heard_draws_by_its_own_distribution():
    rows = 20_000
    # Only token 0 begins a word: the base is heard where the nudger drew it
    step = NudgeStep(np.packbits([True, False, False, False]).tobytes(), (), True, False)
    logits = jnp.log(jnp.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.3, 0.15, 0.05]]))
    aux = Aux(jnp.ones(rows, int), jnp.zeros(rows, int), jax.vmap(jax.random.categorical))
    keys = jax.random.split(jax.random.key(0), rows)
    each = jnp.broadcast_to(logits[:, None], (2, rows, 4))
    nudged, choice = step(jnp.full(rows, 0.4), jnp.ones(rows, bool), keys, each, aux)
    base = np.asarray(choice.speaker) == 0
    assert (np.asarray(nudged) == ~base).all()
    assert abs(base.mean() - 0.5) < 0.02
    shares = np.bincount(np.asarray(choice.token)[base], minlength=4) / base.sum()
    np.testing.assert_allclose(shares, [0.1, 0.2, 0.3, 0.4], atol=0.02)
    shares = np.bincount(np.asarray(choice.token)[~base], minlength=4) / (~base).sum()
    np.testing.assert_allclose(shares, [0, 0.6, 0.3, 0.1], atol=0.02)


def test_draws_follow_the_run():
    asks = [(Request.user(prompt), 0.4) for prompt in PROMPTS]
    store = Memo()
    first, stored = (system().write(asks, context(temperature=1.5, store=store)) for _ in range(2))
    assert first == stored == system().write(asks, context(temperature=1.5))
    other = system().write(asks, context(temperature=1.5, seed=1))
    assert [r.tokens for r in first] != [r.tokens for r in other]


def test_a_search_keeps_the_best_gamma_and_nudger():
    right = {item.id: "ABC"[index % 3] for index, item in enumerate(TASK.dev.items)}

    class Engine(testing.ScriptedEngine):
        def join(self, members, requests, sampling, combine, theta=()):
            self.gammas = theta
            said = super().join(members, requests, sampling, combine, theta)
            good = members[1].name == "dummy:2"
            pairs = zip(said, requests, theta, strict=True)
            return [
                r.replace(text=right[request.item] if good and abs(gamma - 0.3) < 1e-6 else "no")
                for r, request, gamma in pairs
            ]

    engine = Engine(lambda *_: "")
    bench = testing.workbench(POOL, TASK.dev, engine=engine)
    found = Nudging(search_gamma=True, search_nudging=True).fit(bench)
    assert (found.base, found.nudger, found.gamma, found.dev_score) == (0, 2, 0.3, 1.0)
    # All values of gamma stand in one call per nudger
    assert engine.calls == [4 * len(TASK.dev)] * 2
    # Ties go to what was configured
    found = Nudging(search_gamma=True, gamma=0.4).fit(bench)
    assert (found.nudger, found.gamma, found.dev_score) == (1, 0.4, 0.0)


def halts(text):
    """A draft that its policy stopped."""
    return Response(text=text, finish="length")


def ends(text):
    """A draft that ends with an end token."""
    return Response(text=text, finish="stop")


def test_members_of_two_vocabularies_take_turns():
    script = [
        ("other", "", halts("Let ")),
        # The base is unsure at once: the nudger goes on with the word it has begun
        ("dummy:0", "", halts("x")),
        ("other", " ", halts("us ")),
        ("dummy:0", "us", halts(" add 2 and?")),
        ("other", "add 2 and", halts(" 3. ")),
        ("dummy:0", "3.", ends(" It is 5")),
    ]
    said = iter(script)

    def answer(name, request):
        member, end, reply = next(said)
        assert name == member
        assert request.prefix.endswith(end)
        return reply

    other = testing.dummy_member("other", 7, tokenizer=testing.dummy_tokenizer(backwards=True))
    bench = testing.workbench(
        Pool([POOL[0], other]),
        TASK.dev,
        engine=testing.ScriptedEngine(answer),
        sampling=Sampling(max_new_tokens=100),
    )
    (response,) = Nudging().fit(bench).respond(TASK.test.items[:1], bench)
    assert response.text == "Let us add 2 and 3. It is 5"
    assert response.finish == "stop"
    assert [(turn.speaker, turn.text) for turn in response.transcript[1:]] == [
        ("other", "Let us"),
        ("dummy:0", " add 2 and"),
        ("other", " 3."),
        ("dummy:0", " It is 5"),
    ]
    assert dict(response.notes) == {
        "gamma": 0.4,
        "nudger": "other",
        "nudge_ratio": 9 / 27,
        "nudges": 2,
    }
    assert next(said, None) is None


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"base_model_id": 1}, "nudging_model_id is 1, which is the base"),
        ({"nudging_model_id": 5}, "nudging_model_id is 5; it must be at most 2"),
        ({"gamma_grid": ()}, "gamma_grid is"),
        ({"gamma": -1.0}, "gamma is -1.0"),
    ],
)
def test_settings_that_cannot_be_are_named(settings, reason):
    with pytest.raises(ValueError, match=reason):
        testing.check(make_method("api_nudging", settings), POOL, TASK)


def test_a_nudger_may_be_searched_for_in_place_of_the_base():
    assert system(base_model_id=1, search_nudging=True).nudger != 1


def test_an_end_token_that_the_base_does_not_know_is_written_by_turns():
    base, nudger, _ = POOL
    assert one_vocabulary(context(), (0, 1))
    last = base.config.vocab_size
    own = {**nudger.info.generation_config, "eos_token_id": [*nudger.eos, last]}
    info = dataclasses.replace(nudger.info, generation_config=own)
    longer = Pool([base, dataclasses.replace(nudger, info=info)])
    assert not one_vocabulary(context(longer), (0, 1))
