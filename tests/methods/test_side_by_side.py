"""Protocols that share batches."""

import pytest

from moco_jax import testing
from moco_jax.decoding.types import Response
from moco_jax.methods import quoting
from moco_jax.methods.side_by_side import side_by_side

ITEMS = testing.dummy_task("exact_match", 4).test.items


def ask_twice_each(item, rounds):
    """Asks two members in every round; returns all that was said."""
    heard = []
    for number in range(rounds):
        replies = yield [quoting.plain(who, item, f"round {number}") for who in range(2)]
        heard += [reply.text for reply in replies]
    return heard


def test_all_that_go_on_ask_in_one_batch():
    batches = []

    def answer(inquiries):
        batches.append([(inquiry.item.id, inquiry.purpose, inquiry.who) for inquiry in inquiries])
        return [
            Response(f"{inquiry.item.id} {inquiry.purpose} {inquiry.who}") for inquiry in inquiries
        ]

    rounds = [2, 0, 1, 3]
    ends = side_by_side([ask_twice_each(*pair) for pair in zip(ITEMS, rounds, strict=True)], answer)
    assert ends == [
        [f"{item.id} round {number} {who}" for number in range(count) for who in range(2)]
        for item, count in zip(ITEMS, rounds, strict=True)
    ]
    assert [len(batch) for batch in batches] == [6, 4, 2]
    assert [item for item, _, who in batches[0] if who == 0] == ["test/0", "test/2", "test/3"]


def test_an_error_of_one_protocol_is_not_hidden():
    def fails():
        yield [quoting.plain(0, ITEMS[0])]
        raise ValueError("no such action")

    with pytest.raises(ValueError, match="no such action"):
        side_by_side([fails()], lambda inquiries: [Response("")] * len(inquiries))
