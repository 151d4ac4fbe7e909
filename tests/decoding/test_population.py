"""Populations: every row answers as its own parameter set would alone, whatever the layout."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.decoding import loop, schedule
from moco_jax.decoding.combine import FIRST, WEIGHTED_LOGITS
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.groups import Group, Weights, new_cache
from moco_jax.decoding.population import Population, Variant
from moco_jax.decoding.sampling import Filters, Knobs
from moco_jax.decoding.types import Request, Sampling
from moco_jax.models.lora import init_adapter, merge_adapter, stack_adapters
from moco_jax.models.lora_config import LoraConfig
from moco_jax.pool import variants
from moco_jax.testing import dummy_pool

GREEDY = Sampling(temperature=0, max_new_tokens=6)
DRAWN = Sampling(temperature=0.8, top_p=0.9, max_new_tokens=6)
BASE = dummy_pool(1)[0]
QUESTIONS = [f"what is {a} + {a + 3}?" for a in range(5)]


def make_adapter(seed: int, rank: int, targets=("q_proj", "down_proj")):
    config = LoraConfig(rank=rank, alpha=2.0 * rank, targets=targets)
    adapter = init_adapter(BASE.params, config, jax.random.key(seed))
    keys = iter(jax.random.split(jax.random.key(seed + 100), 99))
    return jax.tree.map(lambda leaf: jax.random.normal(next(keys), leaf.shape), adapter)


ADAPTERS = [
    make_adapter(0, 2),
    make_adapter(1, 4, ("v_proj",)),
    make_adapter(2, 3, ("q_proj", "lm_head")),
]
NAMES = ["a", "b", "c"]
MERGED = [merge_adapter(BASE.params, adapter) for adapter in ADAPTERS]
BANK = variants(BASE, NAMES, NAMES, adapters=ADAPTERS)
STACKED = jax.tree.map(lambda *leaves: jnp.stack(leaves), *MERGED)
STACK = variants(BASE, NAMES, NAMES, params=STACKED)
ALONE = [BASE.derive(n, params, n) for n, params in zip(NAMES, MERGED, strict=True)]


def ask(members, sampling, asks, **settings):
    engine = Engine(seed=1, **settings)
    requests = [Request.user(question) for _, question in asks]
    return engine.ask([members[who] for who, _ in asks], requests, sampling)


EVEN = [(who, question) for question in QUESTIONS for who in range(3)]
UNEVEN = [(0, question) for question in QUESTIONS] + [(2, QUESTIONS[0])]


@pytest.mark.parametrize("sampling", [GREEDY, DRAWN], ids=["greedy", "drawn"])
@pytest.mark.parametrize("asks", [EVEN, UNEVEN, [(1, QUESTIONS[2])]], ids=["even", "uneven", "one"])
@pytest.mark.parametrize("members", [BANK, STACK], ids=["bank", "stack"])
def test_variants_answer_as_their_weights_would_alone(members, asks, sampling):
    together, alone = ask(members, sampling, asks), ask(ALONE, sampling, asks)
    for ours, theirs in zip(together, alone, strict=True):
        assert ours.tokens == theirs.tokens
        np.testing.assert_allclose(ours.logprobs, theirs.logprobs, atol=2e-4)
        assert ours.speaker == theirs.speaker


@pytest.mark.parametrize("members", [BANK, STACK], ids=["bank", "stack"])
def test_an_answer_of_a_variant_does_not_depend_on_order_chunk_or_company(members):
    whole = ask(members, DRAWN, EVEN, width=2)
    turned = ask(members, DRAWN, EVEN[::-1], width=2, chunk=2)[::-1]
    fewer = ask(members, DRAWN, EVEN[3:9], width=2)
    assert whole == turned
    assert whole[3:9] == fewer


def test_layouts_follow_from_the_load():
    layouts = []

    class Spy(Engine):
        def _decode(self, call, plan, places, width):
            layouts.append((call.groups[0].layout, call.groups[0].sets, call.slots(width)))
            return super()._decode(call, plan, places, width)

    for members, asks in ((BANK, EVEN), (BANK, UNEVEN), (BANK, EVEN[:1]), (STACK, UNEVEN)):
        engine = Spy(width=4)
        requests = [Request.user(question) for _, question in asks]
        engine.ask([members[who] for who, _ in asks], requests, GREEDY)
    assert layouts == [("shares", 3, 12), ("mixed", 2, 8), ("shares", 1, 4), ("stack", 3, 12)]


def test_scores_of_variants_equal_those_of_their_weights():
    asks = [Request.user(question) for question in QUESTIONS[:3]]
    texts = ["12", "7", "30"]
    found = Engine().score(BANK, asks, texts)
    stacked = Engine().score(STACK, asks, texts)
    expected = Engine().score(ALONE, asks, texts)
    for ours, others, theirs in zip(found, stacked, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)
        np.testing.assert_allclose(others, theirs, atol=2e-4)


def test_a_variant_has_full_weights_when_asked():
    for members in (BANK, STACK):
        for member, merged in zip(members, MERGED, strict=True):
            jax.tree.map(
                lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), member.params, merged
            )


def test_a_population_refuses_leaves_of_another_size():
    with pytest.raises(ValueError, match="population of 2"):
        Population(STACKED, None, 2)
    with pytest.raises(ValueError, match="one of the two"):
        variants(BASE, NAMES, NAMES)
    with pytest.raises(ValueError, match="2 names"):
        variants(BASE, NAMES[:2], NAMES, adapters=ADAPTERS)


@pytest.mark.parametrize("layout", ["shares", "mixed", "stack"])
def test_the_cache_of_a_population_is_updated_in_place(layout):
    config, width, length = BASE.config, 6, 1024
    weights = Weights(STACKED) if layout == "stack" else Weights(BASE.params, bank())
    group = Group(config, 3, layout)
    program = loop.Program((group,), FIRST, Filters.of(GREEDY), config.vocab_size)
    caches = (new_cache(group, width, length, jnp.float32),)
    rows = loop.empty_rows(program, width, 16, ())
    compiled = loop.decode.lower(
        program,
        (weights,),
        caches,
        rows,
        Knobs.of(GREEDY),
        jnp.array([-1]),
        jnp.int32(8),
        jnp.int32(width),
    ).compile()
    cache_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(caches))
    assert compiled.memory_analysis().alias_size_in_bytes >= cache_bytes
    assert compiled.memory_analysis().temp_size_in_bytes < cache_bytes / 2
    shapes = [f"f32\\[{width},{length},", f"f32\\[3,2,{length},"]
    copies = re.findall(rf"= (?:{'|'.join(shapes)})\S* copy\(", compiled.as_text())
    assert not copies, "a step copies the cache"


def test_voices_write_what_groups_of_their_own_would():
    rng = np.random.default_rng(0)
    prompts = [
        [rng.integers(6, 60, size) for size in sizes] for sizes in ((118, 9, 30), (5, 90, 7))
    ]
    alone = ((Group(BASE.config),) * 3, tuple(map(Weights, MERGED)))
    told = []
    for groups, weights in (alone, ((Group(BASE.config, 3, "voices"),), (Weights(STACKED),))):
        program = loop.Program(groups, WEIGHTED_LOGITS, Filters.of(GREEDY), BASE.config.vocab_size)
        machine = schedule.Machine(program, weights, Knobs.of(GREEDY), (), 2, 16)
        thirds = np.full(3, 1 / 3, np.float32)
        # The first outgrows its stage and moves, the last is read where another was
        jobs = [
            schedule.Job(tuple(prompts[turn % 2]), np.zeros(2, np.uint32), budget, thirds)
            for turn, budget in enumerate((40, 6, 20))
        ]
        streams = dict(schedule.run(machine, jobs))
        told.append([streams[index].tokens.tolist() for index in range(3)])
    assert told[0] == told[1]


def bank():
    return stack_adapters(ADAPTERS)


def test_variants_of_one_population_are_found_by_place():
    whole = Population(BASE.params, bank(), 3)
    assert whole.select([0, 1, 2]) is whole
    assert Variant(whole, 1).alone.size == 1
