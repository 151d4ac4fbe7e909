"""Prompts are read in blocks at fixed cuts, and what rows share is computed once."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from moco_jax.decoding import prefill, reading
from moco_jax.decoding.buckets import PREFILL_BLOCK
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.types import Request, Sampling
from moco_jax.testing import dummy_pool

MEMBER = dummy_pool(1)[0]
GREEDY = Sampling(temperature=0, max_new_tokens=3)
DRAWN = Sampling(temperature=1.0, max_new_tokens=3)


@given(st.integers(0, 3000), st.integers(0, 3000))
@settings(max_examples=60, deadline=None)
def test_blocks_cover_the_text_between_fixed_cuts(start, count):
    text = np.arange(count)
    blocks = reading.blocks_of(4, start, text)
    assert np.array_equal(np.concatenate([text[:0], *[part for _, _, part in blocks]]), text)
    for _, position, part in blocks:
        assert 0 < len(part) <= PREFILL_BLOCK
        end = position + len(part)
        assert end == start + count or end in (128, 256) or end % PREFILL_BLOCK == 0
        assert end <= reading.slots_needed(start, count)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_plan_fills_every_slot_with_its_own_text(data):
    """Replays plans on numpy rows, where a copy takes what its source holds at that moment."""
    stem = np.arange(700)
    count = data.draw(st.integers(1, 6))
    texts = {}
    for slot in range(count):
        shared, own = data.draw(st.integers(0, 600)), data.draw(st.integers(0, 90))
        tail = 10_000 * data.draw(st.integers(1, 2)) + np.arange(own)
        texts[slot] = slot % 2, np.concatenate([stem[:shared], tail])
    resident = {9: (0, stem[:400]), 0: (data.draw(st.integers(0, 1)), stem[:300])}
    rows = {slot: np.full(800, -1) for slot in texts}
    rows |= {slot: np.pad(text, (0, 800 - len(text))) for slot, (_, text) in resident.items()}
    for turn in reading.plan(texts, resident):
        for source, target, length in turn.copies:
            rows[target][:length] = rows[source][:length]
        for slot, start, part in turn.blocks:
            rows[slot][start : start + len(part)] = part
    for slot, (_, text) in texts.items():
        assert np.array_equal(rows[slot][: len(text)], text)


def computed_tokens(monkeypatch, requests, sampling, **settings):
    """Responses, and how many prompt tokens went through the model."""
    counted, read = [0], prefill.read_blocks

    def counting(group, weights, cache, blocks, owners):
        counted[0] += sum(len(part) for _, _, part in blocks)
        return read(group, weights, cache, blocks, owners)

    monkeypatch.setattr(prefill, "read_blocks", counting)
    responses = Engine(**settings).ask([MEMBER] * len(requests), requests, sampling)
    monkeypatch.undo()
    return responses, counted[0]


def test_samples_of_one_prompt_share_its_reading(monkeypatch):
    requests = [Request.user("what is 3 + 4?", sample=k) for k in range(6)]
    responses, computed = computed_tokens(monkeypatch, requests, DRAWN, width=2)
    assert computed == responses[0].usage.prompt_tokens - 1
    alone = [Engine(width=2).ask([MEMBER], [request], DRAWN)[0].tokens for request in requests]
    assert [response.tokens for response in responses] == alone
    assert len(set(alone)) > 1


def test_instructions_before_every_question_are_read_once(monkeypatch):
    instructions = "say the sum of both numbers. " * 12
    requests = [Request.user(f"{instructions}{a} + {a}?") for a in range(5)]
    responses, computed = computed_tokens(monkeypatch, requests, GREEDY, width=8)
    sizes = [response.usage.prompt_tokens - 1 for response in responses]
    assert computed == sum(sizes) - 4 * 256
    alone = [Engine(width=8).ask([MEMBER], [request], GREEDY)[0] for request in requests]
    assert [r.logprobs for r in responses] == [r.logprobs for r in alone]
