"""What the attempts of one run share: who paid for a record, so that all count what was spent."""

from collections.abc import Callable
from typing import Any

from moco_jax.decoding.hooks import Store

PAYER = "payer"


class PaidStore:
    """A store that knows again what an earlier attempt of the same run computed.

    Every record that is kept bears its payer, the run and what it was doing. A record of the same
    payer that this attempt meets for the first time was computed by an attempt that was killed
    before it could write its ledger. It is no longer `cached` then, so that the engine charges it
    as spent: once, and nothing but what was under way at the kill is lost.
    """

    def __init__(self, store: Store, payer: Callable[[], str], earlier: Callable[[float], None]):
        """Wraps a store.

        Args:
            store: keeps the records.
            payer: names who pays now.
            earlier: is told the seconds of what an earlier attempt computed.
        """
        self._store = store
        self._payer = payer
        self._earlier = earlier
        self._met: set[str] = set()

    def get(self, key: str) -> dict[str, Any] | None:
        """The record under `key`, and whether it is `cached`."""
        record = self._store.get(key)
        if record is None:
            return None
        own = key not in self._met and record.get(PAYER) == self._payer()
        self._met.add(key)
        if own:
            self._earlier(record.get("seconds", 0.0))
        return {**record, "cached": not own}

    def put(self, key: str, record: dict[str, Any]) -> None:
        """Keeps a record, with its payer."""
        self._met.add(key)
        self._store.put(key, {**record, PAYER: self._payer()})
