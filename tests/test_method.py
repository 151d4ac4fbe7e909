"""Needs are checked with the member's name and the reason; the bench ranks members on dev."""

import dataclasses

import pytest

from moco_jax.method import Needs, NeedsError
from moco_jax.testing import (
    ScriptedEngine,
    dummy_member,
    dummy_pool,
    dummy_task,
    dummy_tokenizer,
    workbench,
)

INFOS = [member.info for member in dummy_pool(3)]


@pytest.mark.parametrize(
    ("needs", "infos", "message"),
    [
        (Needs(members=4), INFOS, "needs at least 4 members; the pool has 3"),
        (Needs(at_most=1), INFOS, r"takes at most 1 member\(s\); the pool has 3"),
        (Needs(kinds=("coding",)), INFOS, "serves tasks of kind coding; this one is exact_match"),
        (
            Needs(same_architecture=True),
            [*INFOS, dummy_member("wide", 0, hidden_size=32).info],
            "wide has hidden_size 32, dummy:0 has 16",
        ),
        (
            Needs(same_vocabulary=True),
            [*INFOS, dummy_member("odd", 0, tokenizer=dummy_tokenizer(True)).info],
            "dummy:0 and odd have different vocabularies",
        ),
    ],
)
def test_a_broken_need_names_member_and_reason(needs, infos, message):
    with pytest.raises(NeedsError, match=message) as error:
        needs.check("some_method", infos, "exact_match")
    assert "some_method" in str(error.value)


def test_met_needs_say_nothing():
    needs = Needs(2, 3, same_architecture=True, same_vocabulary=True, kinds=("exact_match",))
    needs.check("some_method", INFOS, "exact_match")


def bench_where(right: dict[str, int]):
    """A bench whose members answer so many dev items rightly."""
    task = dummy_task("exact_match")
    golds = [gold.answers[0] for gold in task.dev.golds]
    places = {item.id: place for place, item in enumerate(task.dev.items)}

    def answer(name, request):
        place = places[request.item]
        return golds[place] if place < right[name] else "never"

    return workbench(dummy_pool(len(right)), task.dev, engine=ScriptedEngine(answer))


def test_members_are_ranked_by_dev_score_and_ties_keep_pool_order():
    bench = bench_where({"dummy:0": 1, "dummy:1": 4, "dummy:2": 4})
    size = len(bench.dev.items)
    assert bench.dev_scores() == (1 / size, 4 / size, 4 / size)
    assert bench.best() == 1
    assert bench.ranking() == [1, 2, 0]


def test_dev_scores_are_computed_once_and_greedily():
    bench = bench_where({"dummy:0": 1, "dummy:1": 2})
    bench.dev_scores()
    bench.best()
    assert len(bench.engine.asked) == 2 * len(bench.dev.items)
    assert {request.purpose for _, request in bench.engine.asked} == {"dev"}


def test_the_bench_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        bench_where({"dummy:0": 1}).seed = 3
