"""Protocols of many items, each written as if it were alone, that ask in common batches."""

import itertools
from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

from moco_jax.decoding.types import Response
from moco_jax.methods.quoting import Inquiry

Result = TypeVar("Result")
Protocol = Generator[list[Inquiry], list[Response], Result]
"""What one item goes through: it yields what it asks now, is sent the answers, returns the end."""


def side_by_side(
    protocols: Sequence[Protocol[Result]], answer: Callable[[list[Inquiry]], list[Response]]
) -> list[Result]:
    """Runs protocols to their ends; each batch holds what all that go on ask next.

    Args:
        protocols: in any order; each may ask as often and as much as it likes.
        answer: answers a batch, in order.
    """
    ends: dict[int, Result] = {}
    asked: dict[int, list[Inquiry]] = {}

    def go_on(place: int, replies: list[Response] | None) -> None:
        protocol = protocols[place]
        try:
            asked[place] = next(protocol) if replies is None else protocol.send(replies)
        except StopIteration as end:
            ends[place] = end.value

    for place in range(len(protocols)):
        go_on(place, None)
    while asked:
        batch, asked = asked, {}
        said = iter(answer([inquiry for inquiries in batch.values() for inquiry in inquiries]))
        for place, inquiries in batch.items():
            go_on(place, list(itertools.islice(said, len(inquiries))))
    return [ends[place] for place in range(len(protocols))]
