"""Scores of given text: against a full forward, whatever else is scored, and what they cost."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.decoding import loop, scoring
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.groups import Group, Weights
from moco_jax.decoding.types import Request
from moco_jax.models.cost import generation_flops
from moco_jax.models.decoder import forward, unembed
from moco_jax.testing import dummy_pool

POOL = dummy_pool(2)
MEMBER = POOL[0]
CONFIG = MEMBER.config
GROUP, WEIGHTS = Group(CONFIG), Weights(MEMBER.params)


def random_rows():
    """Prompts of several buckets, one of them longer than a block, with 1 to 3 continuations."""
    rng = np.random.default_rng(5)

    def text(size):
        return rng.integers(0, CONFIG.vocab_size, size).astype(np.int32)

    rows = []
    for size in [1, 2, 18, 25, 19, 18, 20, 21, 22, 23, 24, 25, 24, 530]:
        prompt = text(size)
        rows += [(prompt, text(n)) for n in rng.choice([1, 2, 15, 20], 1 + size % 3)]
    return rows


ROWS = random_rows()


def full_forward(rows):
    """The definition: one forward pass over everything, without a cache."""
    texts = [np.concatenate(row) for row in rows]
    tokens = np.zeros((len(rows), max(map(len, texts))), np.int32)
    for row, text in enumerate(texts):
        tokens[row, : len(text)] = text
    positions = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)
    hidden, _ = forward(CONFIG, MEMBER.params, jnp.array(tokens), positions)
    logprobs = np.asarray(jax.nn.log_softmax(unembed(CONFIG, MEMBER.params, hidden)))
    return [
        [logprobs[row, i, text[i + 1]] for i in range(len(rows[row][0]) - 1, len(text) - 1)]
        for row, text in enumerate(texts)
    ]


def score(rows):
    found = dict(scoring.score_rows(GROUP, WEIGHTS, rows))
    return [found[index] for index in range(len(rows))]


def test_scores_equal_a_full_forward():
    for found, expected in zip(score(ROWS), full_forward(ROWS), strict=True):
        np.testing.assert_allclose(found, expected, atol=5e-5, rtol=1e-5)


def test_a_score_does_not_depend_on_what_else_is_scored():
    whole = score(ROWS)
    backwards = score(ROWS[::-1])[::-1]
    some = [score([ROWS[index]])[0] for index in (0, 5, 12, len(ROWS) - 1)]
    np.testing.assert_equal(backwards, whole)
    np.testing.assert_equal(some, [whole[index] for index in (0, 5, 12, len(ROWS) - 1)])


def test_each_distinct_prompt_is_read_once(monkeypatch):
    read = collections.Counter()

    def counted(group, context, weights, cache, rows, tokens, positions, owners):
        starts = positions.max(axis=1)
        read.update(bytes(tokens[row, : starts[row] + 1]) for row in rows if starts[row] >= 0)
        return plain(group, context, weights, cache, rows, tokens, positions, owners)

    plain = loop.prefill
    monkeypatch.setattr(loop, "prefill", counted)
    prompts = [ROWS[index][0] for index in (8, 15, 18)]
    pairs = [(prompt, np.arange(n, dtype=np.int32)) for n in (1, 1, 20, 3) for prompt in prompts]
    score(pairs)
    assert read == {prompt[:-1].tobytes(): 1 for prompt in prompts}


def test_the_first_continuation_pays_for_the_prompt():
    charges = []
    engine = Engine(meter=charges.append)
    one, other = Request.user("one?", item="a"), Request.user("another?", item="b")
    engine.score(
        [POOL[0], POOL[0], POOL[1], POOL[0], POOL[0]],
        [one, one, one, other, one],
        ["A", "BC", "A", "A", "A"],
    )
    sizes = [len(POOL[0].template.render(request.messages)) for request in (one, other)]
    counts = {
        name: [charge.usage.prompt_tokens for charge in charges if charge.member == name]
        for name in POOL.names
    }
    assert counts == {"dummy:0": [sizes[0] + 1, 2, sizes[1] + 1, 1], "dummy:1": [sizes[0] + 1]}
    assert all(charge.usage.forwards == 1 for charge in charges)


def test_items_do_not_share_what_they_read():
    charges = []
    engine = Engine(meter=charges.append)
    asks = [Request.user("one?", item=item, purpose="route") for item in "aabba"]
    engine.score([POOL[0]] * 5, asks, ["A", "B", "A", "B", "A"])
    size = len(POOL[0].template.render(asks[0].messages))
    read = [charge.usage.prompt_tokens for charge in charges]
    assert read == [size + 1, 1, size + 1, 1, 1]
    assert {charge.purpose for charge in charges} == {"route"}


@pytest.mark.parametrize(("prompt", "counts"), [(1, (1, 4)), (30, (2, 1, 1))])
def test_flops_are_those_of_the_tokens_fed_and_the_logits_made(prompt, counts):
    flops = sum(
        scoring.score_usage(CONFIG, prompt, count, read=number > 0).flops
        for number, count in enumerate(counts)
    )
    shared = generation_flops(CONFIG, prompt - 1, 0)
    alone = [generation_flops(CONFIG, prompt, count) - shared for count in counts]
    assert flops == shared + sum(alone)
    assert flops < sum(generation_flops(CONFIG, prompt, count) for count in counts) or prompt == 1
