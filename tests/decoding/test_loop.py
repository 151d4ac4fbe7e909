"""The decode loop against a forward pass over the whole text, and its promises to the byte."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.decoding import loop, schedule
from moco_jax.decoding.combine import FIRST, WEIGHTED_LOGITS, WEIGHTED_PROBS, Choice, Combine
from moco_jax.decoding.groups import Group, Weights
from moco_jax.decoding.sampling import Filters, Knobs
from moco_jax.decoding.types import Sampling
from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import forward, init_cache, init_params, unembed

VOCAB, EOS = 61, 5
CONFIG = ModelConfig(
    family="llama",
    vocab_size=VOCAB,
    hidden_size=32,
    intermediate_size=48,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    max_positions=2048,
)
GREEDY = Sampling(temperature=0, max_new_tokens=12)
DRAWN = Sampling(temperature=0.9, top_p=0.9, top_k=30, repetition_penalty=1.2, max_new_tokens=12)


def make_params(seed: int):
    params = init_params(CONFIG, jax.random.key(seed))
    return jax.tree.map(lambda leaf: leaf * 8 if leaf.ndim == 2 else leaf, params)


PARAMS = (make_params(0), make_params(1))


def make_prompts(count: int, longest: int = 40) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, longest, count)
    return [rng.integers(6, VOCAB, size).astype(np.int32) for size in sizes]


PROMPTS = make_prompts(7)


def generate(
    prompts, sampling, *, width=4, chunk=8, combine=FIRST, params=PARAMS[:1], theta=(), eos=(EOS,)
):
    configs = (CONFIG,) * len(params)
    program = loop.Program(
        tuple(Group(config) for config in configs), combine, Filters.of(sampling), VOCAB
    )
    machine = schedule.Machine(
        program, tuple(Weights(p) for p in params), Knobs.of(sampling), eos, width, chunk
    )
    jobs = [
        schedule.Job(
            prompts=(prompt,) * len(params),
            key=np.array([int(prompt.sum()), len(prompt)], np.uint32),
            budget=sampling.max_new_tokens,
            theta=theta,
        )
        for prompt in prompts
    ]
    return dict(schedule.run(machine, jobs))


@jax.jit
def next_logits(params, tokens, length):
    positions = jnp.where(jnp.arange(tokens.shape[0]) < length, jnp.arange(tokens.shape[0]), -1)
    hidden, _ = forward(CONFIG, params, tokens[None], positions[None])
    return unembed(CONFIG, params, hidden[0, length - 1])


def step_by_step(prompt, count, choose):
    """Greedy text by a full forward per token; `choose` maps the members' logits to logits."""
    text, logprobs = list(prompt), []
    for _ in range(count):
        padded = jnp.array(text + [0] * (64 - len(text)))
        logits = choose([next_logits(params, padded, len(text)) for params in PARAMS])
        token = int(jnp.argmax(logits))
        logprobs.append(float(jax.nn.log_softmax(logits)[token]))
        text.append(token)
        if token == EOS:
            break
    return text[len(prompt) :], logprobs


def same(first, second) -> bool:
    return np.array_equal(first.tokens, second.tokens) and np.array_equal(
        first.logprobs, second.logprobs
    )


def test_greedy_text_equals_a_full_forward_per_token():
    streams = generate(PROMPTS, GREEDY)
    for index, prompt in enumerate(PROMPTS):
        tokens, logprobs = step_by_step(prompt, 12, lambda logits: logits[0])
        assert streams[index].tokens.tolist() == tokens
        np.testing.assert_allclose(streams[index].logprobs, logprobs, atol=2e-5)
        ended = loop.STOP if tokens[-1] == EOS else loop.LENGTH
        assert streams[index].finish == ended


@pytest.mark.parametrize(
    ("combine", "choose"),
    [
        (WEIGHTED_LOGITS, lambda both: 0.3 * both[0] + 0.7 * both[1]),
        (
            WEIGHTED_PROBS,
            lambda both: jnp.log(0.3 * jax.nn.softmax(both[0]) + 0.7 * jax.nn.softmax(both[1])),
        ),
    ],
)
def test_joint_text_equals_combining_two_separate_forwards(combine, choose):
    theta = np.array([0.3, 0.7], np.float32)
    streams = generate(PROMPTS[:3], GREEDY, combine=combine, params=PARAMS, theta=theta)
    for index, prompt in enumerate(PROMPTS[:3]):
        tokens, logprobs = step_by_step(prompt, 12, choose)
        assert streams[index].tokens.tolist() == tokens
        np.testing.assert_allclose(streams[index].logprobs, logprobs, atol=2e-5)


def test_text_depends_on_nothing_but_the_row_and_the_width():
    whole = generate(PROMPTS, DRAWN)
    other_chunk = generate(PROMPTS, DRAWN, chunk=3)
    reversed_order = generate(PROMPTS[::-1], DRAWN, chunk=5)
    fewer = generate(PROMPTS[2:4], DRAWN)
    for index in whole:
        assert same(whole[index], other_chunk[index])
        assert same(whole[index], reversed_order[len(PROMPTS) - 1 - index])
    assert same(whole[2], fewer[0])
    assert same(whole[3], fewer[1])


LONG = Sampling(temperature=0, max_new_tokens=700)


def test_a_text_that_outgrows_its_stage_goes_on_in_a_larger_one(monkeypatch):
    sizes, make = [], schedule.Stage

    def noting(machine, size, room, theta):
        sizes.append(size)
        return make(machine, size, room, theta)

    monkeypatch.setattr(schedule, "Stage", noting)
    theta = np.array([0.3, 0.7], np.float32)
    streams = generate_long(PROMPTS, combine=WEIGHTED_LOGITS, params=PARAMS, theta=theta)
    assert set(sizes) == {128, 512, 1024}
    for index, prompt in enumerate(PROMPTS):
        text = np.concatenate([prompt, streams[index].tokens])
        assert len(streams[index].tokens) == 700
        logits = [
            unembed(CONFIG, params, forward(CONFIG, params, text[None], positions_of(text))[0][0])
            for params in PARAMS
        ]
        expected = np.argmax(0.3 * logits[0] + 0.7 * logits[1], -1)[len(prompt) - 1 : -1]
        assert np.mean(streams[index].tokens == expected) > 0.99
    alone = generate_long(PROMPTS[2:4], combine=WEIGHTED_LOGITS, params=PARAMS, theta=theta)
    assert same(streams[2], alone[0])
    assert same(streams[3], alone[1])


def test_a_plan_counts_the_caches_of_all_stages():
    key = np.zeros(2, np.uint32)
    jobs = [schedule.Job((prompt,), key, 700) for prompt in PROMPTS]
    assert schedule.slots_of(jobs) == 128 + 512 + 1024
    assert schedule.slots_of([schedule.Job((PROMPTS[0],), key, 8)]) == schedule.capacity(
        schedule.Job((PROMPTS[0],), key, 8)
    )


def test_short_answers_never_pay_for_a_long_budget(monkeypatch):
    sizes, make = [], schedule.Stage

    def noting(machine, size, room, theta):
        sizes.append(size)
        return make(machine, size, room, theta)

    monkeypatch.setattr(schedule, "Stage", noting)

    def ending(theta, carry, keys, logits, aux):
        return carry, Choice(logits[0], stop=aux.step >= 9)

    streams = generate_long(PROMPTS, combine=Combine(ending, name="ending"))
    assert {len(stream.tokens) for stream in streams.values()} == {10}
    assert sizes == [128]


def generate_long(prompts, **settings):
    return generate(prompts, LONG, width=4, chunk=64, eos=(), **settings)


def positions_of(text):
    return jnp.arange(len(text))[None]


def test_long_prompts_are_read_in_blocks():
    rng = np.random.default_rng(0)
    prompt = rng.integers(6, VOCAB, 1100).astype(np.int32)
    (stream,) = generate([prompt], Sampling(temperature=0, max_new_tokens=2)).values()
    positions = jnp.arange(len(prompt))[None]
    hidden, _ = forward(CONFIG, PARAMS[0], jnp.array(prompt)[None], positions)
    assert stream.tokens[0] == int(jnp.argmax(unembed(CONFIG, PARAMS[0], hidden[0, -1])))


def test_a_policy_may_pick_tokens_speak_and_stop():
    def counting(theta, carry, keys, logits, aux):
        token = (theta + carry).astype(jnp.int32)
        choice = Choice(logits[0], token=token, speaker=aux.step % 2, stop=aux.step >= 3)
        return carry + 1, choice

    policy = Combine(counting, init=lambda theta: jnp.zeros_like(theta), name="counting")
    streams = generate(PROMPTS[:6], GREEDY, combine=policy, theta=np.float32(20), width=4, chunk=2)
    for stream in streams.values():
        assert stream.tokens.tolist() == [20, 21, 22, 23]
        assert stream.speakers.tolist() == [0, 1, 0, 1]
        assert stream.finish == loop.STOP


def test_a_host_rule_may_end_a_row():
    program = loop.Program((Group(CONFIG),), FIRST, Filters.of(GREEDY), VOCAB)
    machine = schedule.Machine(program, (Weights(PARAMS[0]),), Knobs.of(GREEDY), (), 4, 2)
    jobs = [schedule.Job((prompt,), np.zeros(2, np.uint32), 12) for prompt in PROMPTS[:3]]
    streams = dict(
        schedule.run(machine, jobs, lambda index, tokens: index == 1 and len(tokens) > 3)
    )
    assert [len(streams[index].tokens) for index in range(3)] == [12, 4, 12]
    assert streams[1].finish == loop.STOP


def test_the_cache_is_updated_in_place():
    width, length = 8, 1024
    program = loop.Program((Group(CONFIG),), FIRST, Filters.of(GREEDY), VOCAB)
    caches = (init_cache(CONFIG, width, length),)
    rows = loop.empty_rows(program, width, 16, ())
    lowered = loop.decode.lower(
        program,
        (Weights(PARAMS[0]),),
        caches,
        rows,
        Knobs.of(GREEDY),
        jnp.array([EOS]),
        jnp.int32(8),
        jnp.int32(width),
    )
    compiled = lowered.compile()
    cache_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(caches))
    memory = compiled.memory_analysis()
    assert memory.alias_size_in_bytes >= cache_bytes, "the cache is not donated"
    shape = f"f32[{width},{length},{CONFIG.num_kv_heads},{CONFIG.head_dim}]"
    copies = re.findall(rf"= {re.escape(shape)}\S* copy\(", compiled.as_text())
    assert not copies, "a step copies the cache"


def test_scores_equal_log_softmax_of_a_full_forward():
    tokens = make_prompts(2, 17)
    block = np.zeros((2, 16), np.int32)
    positions = np.full((2, 16), -1, np.int32)
    for row, text in enumerate(tokens):
        block[row, : len(text)], positions[row, : len(text)] = text, np.arange(len(text))
    found = loop.token_logprobs(Group(CONFIG), Weights(PARAMS[0]), block, positions)
    for row, text in enumerate(tokens):
        hidden, _ = forward(CONFIG, PARAMS[0], jnp.array(text)[None], jnp.arange(len(text))[None])
        logprobs = jax.nn.log_softmax(unembed(CONFIG, PARAMS[0], hidden[0]))
        expected = [float(logprobs[i, text[i + 1]]) for i in range(len(text) - 1)]
        np.testing.assert_allclose(found[row, 1 : len(text)], expected, atol=2e-5)
