"""What the engine tells others: finished answers to a store, their cost to a meter."""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

from moco_jax.decoding.types import Usage


class Store(Protocol):
    """Keeps finished answers under a key that names everything that determines them."""

    def get(self, key: str) -> dict[str, Any] | None:
        """The record stored under `key`, or None.

        One with a false `cached` was computed by an earlier attempt of the same run, which did not
        live to book what it spent.
        """

    def put(self, key: str, record: dict[str, Any]) -> None:
        """Keeps a JSON-able record, durably, before it returns."""


@dataclasses.dataclass(frozen=True)
class Charge:
    """What one response or score cost.

    Attributes:
        member: name of the member.
        purpose: purpose of the request.
        usage: its share of what the request cost: joined members get one charge each, and their
            shares add up to the usage of the response.
        seconds: wall clock, the batch's time divided among its rows, and a row's among the members
            that wrote it by what they computed.
        cached: whether it came from the store, so that this run spent nothing on it.
    """

    member: str
    purpose: str
    usage: Usage
    seconds: float
    cached: bool


Meter = Callable[[Charge], None]


def unmetered(charge: Charge) -> None:
    """Counts nothing."""
    del charge


class NoStore:
    """Remembers nothing."""

    def get(self, key: str) -> dict[str, Any] | None:
        """Always None."""
        del key
        return None

    def put(self, key: str, record: dict[str, Any]) -> None:
        """Does nothing."""
        del key, record
