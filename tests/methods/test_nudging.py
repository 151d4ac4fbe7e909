"""Nudging against a slow state machine that reads everything anew for every token."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax import testing
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.types import Request, Sampling
from moco_jax.methods import make_method
from moco_jax.methods.api.nudging import Nudging
from moco_jax.models.decoder import forward, unembed
from moco_jax.pool import Member, Pool
from moco_jax.system import Context

TOKENS = 24
TASK = testing.dummy_task("multiple_choice", 4)
PROMPTS = [item.prompt for item in TASK.dev.items]


def wordy(member, seed):
    """A member that says many spaces, ends late, and is now more, now less sure."""
    head = member.params["lm_head"]["kernel"]
    words = member.tokenizer
    say = jnp.array(words.convert_tokens_to_ids(["Ġ", "Ċ", "a", "b"]))
    noise = jax.random.normal(jax.random.key(seed), (head.shape[0], 4))
    head = head.at[:, say].add(2 * noise)
    head = head.at[:, words.eos_token_id].mul(0.3)
    params = {**member.params, "lm_head": {"kernel": head}}
    return Member(member.info, params, f"{member.identity} {seed}")


POOL = Pool([wordy(member, number) for number, member in enumerate(testing.dummy_pool(3).members)])


def predict(member, tokens):
    """Softmax of the next token, in a full forward pass without a cache."""
    hidden, _ = forward(
        member.config, member.params, jnp.array([tokens]), jnp.arange(len(tokens))[None]
    )
    return np.asarray(jax.nn.softmax(unembed(member.config, member.params, hidden[0, -1])))


def slow(base, nudger, prompt, gamma, base_end="stop", agreement=False):
    """The algorithm as it is written down: (tokens, who wrote each)."""
    request = Request.user(prompt)
    read = {m.name: list(m.template.render(request.messages)) for m in (base, nudger)}
    said, who, mode, k = [], [], "nudge", 0
    while len(said) < TOKENS:
        chances = predict(base, read[base.name] + said)
        b = int(chances.argmax())
        n = int(predict(nudger, read[nudger.name] + said).argmax())
        text = nudger.tokenizer.decode([n], skip_special_tokens=True)
        spaced = any(letter in text for letter in " \n\t")
        sure = bool(chances[b] >= gamma)
        hand_over = sure or (agreement and mode == "nudge" and b == n)
        if mode == "nudge" and (k == 0 or not spaced or not hand_over):
            token, speaker = n, 1
        elif mode == "base" and not sure:
            token, speaker = n, 1
        elif base_end == "nudge" and b in base.eos:
            token, speaker = n, 1
        else:
            token, speaker = b, 0
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
