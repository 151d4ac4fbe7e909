"""Weights come and go within a budget, and nothing that is answered changes."""

import dataclasses

import jax
import numpy as np
import pytest

from moco_jax import testing
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.groups import Group, Weights
from moco_jax.decoding.residency import Residency, size
from moco_jax.decoding.types import Request

POOL = testing.dummy_pool(3)
GROUPS = [Group(member.config) for member in POOL]
HOST = [Weights(jax.tree.map(np.asarray, member.params)) for member in POOL]
ONE = size(HOST[0])


class Puts:
    """Counts what is put onto devices."""

    def __init__(self):
        self.moved = []

    def __call__(self, group, weights):
        # Leaves that no program wants otherwise are the same arrays
        norms = [one.params["norm"]["scale"] for one in (*HOST, weights)]
        self.moved.append(next(i for i, norm in enumerate(norms) if norm is norms[-1]))
        return jax.device_put(weights)


def ask(residency, *places):
    found = residency.weights([GROUPS[i] for i in places], [HOST[i] for i in places])
    for place, there in zip(places, found, strict=True):
        for ours, theirs in zip(jax.tree.leaves(HOST[place]), jax.tree.leaves(there), strict=True):
            assert isinstance(theirs, jax.Array)
            np.testing.assert_array_equal(ours, theirs)


def test_the_least_recently_used_go_first():
    puts = Puts()
    residency = Residency(2 * ONE, puts)
    for place in (0, 1, 0, 2, 0, 1):
        ask(residency, place)
        assert residency.resident <= 2 * ONE
    assert puts.moved == [0, 1, 2, 1]


def test_what_one_program_needs_stays_together():
    puts = Puts()
    residency = Residency(2 * ONE, puts)
    ask(residency, 0)
    ask(residency, 1, 2)
    assert residency.resident == 2 * ONE
    ask(residency, 2, 1)
    ask(residency, 1, 1)
    assert puts.moved == [0, 1, 2]


def test_a_program_beyond_the_budget_runs_and_says_so(caplog):
    residency = Residency(ONE // 2, Puts())
    ask(residency, 0)
    ask(residency, 1)
    assert residency.resident == ONE
    assert "more than the" in caplog.text


def test_adapters_over_one_base_are_told_apart():
    residency = Residency(4 * ONE, lambda group, weights: jax.device_put(weights))
    group = Group(POOL[0].config, 1, "shares")
    for value in (1.0, 2.0, 1.0):
        bank = {"a": np.full(2, value, np.float32)}
        (there,) = residency.weights([group], [Weights(HOST[0].params, bank)])
        assert float(there.bank["a"][0]) == value


@pytest.fixture
def away():
    """The pool with its weights on the host."""
    return [
        dataclasses.replace(member, weights=host.params)
        for member, host in zip(POOL, HOST, strict=True)
    ]


def test_answers_and_scores_are_those_of_resident_members(away):
    requests = [Request.user(f"Which of {n}?", item=str(n)) for n in range(3) for _ in POOL]
    puts = Puts()
    engine = Engine(width=4, residency=Residency(ONE, puts))
    here = Engine(width=4)
    for _ in range(2):
        said = engine.ask(away * 3, requests, testing.SHORT)
        expected = here.ask(list(POOL) * 3, requests, testing.SHORT)
        assert [one.tokens for one in said] == [one.tokens for one in expected]
    assert puts.moved == [0, 1, 2] * 2
    texts = ["A", "B", "C"] * 3
    assert engine.score(away * 3, requests, texts) == here.score(list(POOL) * 3, requests, texts)
