"""Nudging against a slow state machine that reads everything anew for every token."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax import testing
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.types import Request, Sampling
from moco_jax.methods.api import nudge_turns
from moco_jax.methods.api.nudging import Nudging
from moco_jax.models.decoder import forward, unembed
from moco_jax.pool import Member, Pool
from moco_jax.system import Context

TOKENS = 24
TASK = testing.dummy_task("multiple_choice", 4)
PROMPTS = [item.prompt for item in TASK.dev.items]


def wordy(member, seed):
    """A member that says many spaces and whole characters, ends late, and is seldom sure."""
    head = member.params["lm_head"]["kernel"]
    words = member.tokenizer
    say = jnp.array(words.convert_tokens_to_ids(["Ġ", "Ċ", "a", "b"]))
    noise = jax.random.normal(jax.random.key(seed), (head.shape[0], 4))
    head = head.at[:, say].add(2 * noise)
    head = head.at[:, words.eos_token_id].mul(0.3)
    parts = [token for token in range(len(words)) if words.decode([token]) == "\ufffd"]
    head = head.at[:, jnp.array(parts)].set(0)
    params = {**member.params, "lm_head": {"kernel": head}}
    return Member(member.info, params, f"{member.identity} {seed}")


POOL = Pool([wordy(member, number) for number, member in enumerate(testing.dummy_pool(3).members)])


@functools.partial(jax.jit, static_argnums=0)
def chances(config, params, tokens, length):
    places = jnp.arange(len(tokens))
    places = jnp.where(places < length, places, -1)
    hidden, _ = forward(config, params, tokens[None], places[None])
    return jax.nn.softmax(unembed(config, params, hidden[0, length - 1]))


def predict(member, tokens):
    """Softmax of the next token, in a full forward pass without a cache."""
    padded = np.zeros(512, np.int32)
    padded[: len(tokens)] = tokens
    return np.asarray(chances(member.config, member.params, padded, len(tokens)))


def slow(base, nudger, prompt, gamma, base_end="stop", agreement=False):
    """The algorithm as it is written down: (tokens, who wrote each)."""
    request = Request.user(prompt)
    read = {m.name: list(m.template.render(request.messages)) for m in (base, nudger)}
    said, who, mode, k = [], [], "nudge", 0
    while len(said) < TOKENS:
        likely = predict(base, read[base.name] + said)
        b = int(likely.argmax())
        n = int(predict(nudger, read[nudger.name] + said).argmax())
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
        if token in base.eos:
            break
    return said, who


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
    wanted = [slow(POOL[0], POOL[1], r.messages[0].content, gamma, **settings) for r, gamma in asks]
    assert [(list(r.tokens), list(r.speakers)) for r in said] == wanted
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
