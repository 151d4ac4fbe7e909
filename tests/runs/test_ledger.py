"""The ledger: phases, members, and what was spent against what is attributed."""

import json

import pytest

from moco_jax.decoding.hooks import Charge
from moco_jax.decoding.types import Usage
from moco_jax.runs.ledger import Ledger

USAGE = Usage(prompt_tokens=10, new_tokens=4, forwards=5, flops=1e6)


def charge(member="a", purpose="answer", cached=False):
    return Charge(member, purpose, USAGE, seconds=0.5, cached=cached)


def test_cached_answers_are_attributed_but_not_spent():
    ledger = Ledger()
    with ledger.phase("fit"):
        ledger(charge())
        ledger(charge(cached=True))
    total = ledger.total()
    assert total.attributed.requests == 2
    assert total.attributed.flops == 2e6
    assert total.attributed.seconds == 1.0
    assert total.spent.requests == 1
    assert total.spent.new_tokens == 4


def test_comparing_with_single_members_is_no_cost_of_the_method():
    ledger = Ledger()
    with ledger.phase("respond"):
        ledger(charge())
    with ledger.phase("score"):
        ledger(charge("b"))
    assert ledger.total().attributed.requests == 1
    assert ledger.total("score").attributed.requests == 1
    assert list(ledger.members()) == ["a"]


def test_order_of_charges_does_not_show():
    def book(pairs):
        ledger = Ledger()
        with ledger.phase("respond"):
            for member, purpose in pairs:
                ledger(charge(member, purpose))
        record = ledger.to_json()
        del record["wall_seconds"]
        return json.dumps(record)

    pairs = [("b", "judge"), ("a", "answer"), ("b", "answer"), ("a", "judge")]
    assert book(pairs) == book(pairs[::-1])
    with_fit = Ledger()
    for phase in ("score", "respond", "fit"):
        with with_fit.phase(phase):
            with_fit(charge())
    assert [line["phase"] for line in with_fit.to_json()["lines"]] == ["fit", "respond", "score"]


def test_the_fit_of_an_earlier_attempt_is_taken_over_with_what_judges_cost_in_it():
    first = Ledger("abc")
    for phase in ("fit", "respond"):
        with first.phase(phase):
            first(charge())
            first.judging(charge("judge", cached=phase == "fit"))
    first.judging(charge("judge"))
    second = Ledger("abc")
    record = json.loads(json.dumps(first.to_json()))
    second.take_over_fit(record)
    assert second.total("fit") == first.total("fit")
    assert second.total("fit").spent.requests == 1
    assert second.total("respond").attributed.requests == 0
    assert second.total("judge").attributed.requests == 1
    assert second.total("judge").spent.requests == 0
    assert second.to_json()["wall_seconds"] == {"fit": record["wall_seconds"]["fit"]}


def test_phases_are_named_and_do_not_nest():
    ledger = Ledger()
    with pytest.raises(RuntimeError, match="outside of any phase"):
        ledger(charge())
    with pytest.raises(ValueError, match="unknown phase"), ledger.phase("train"):
        pass
    with (
        ledger.phase("fit"),
        pytest.raises(RuntimeError, match="do not nest"),
        ledger.phase("respond"),
    ):
        pass
