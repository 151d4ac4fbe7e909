"""The ledger: what a run cost, per phase, member and purpose."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from typing import Any

from moco_jax.decoding.hooks import Charge

FIT, RESPOND, SCORE, JUDGE = "fit", "respond", "score", "judge"
PHASES = (FIT, RESPOND, SCORE)
"""`score` holds what the comparison with single members cost; it is no cost of the method."""
LINES = (*PHASES, JUDGE)
"""`judge` is no phase: what judging answers costs is booked there, whoever wanted the score."""


@dataclasses.dataclass(frozen=True)
class Totals:
    """Sums over charges.

    Attributes:
        requests: answers and scores.
        prompt_tokens: tokens read.
        new_tokens: tokens written.
        forwards: forward passes, one per prompt and one per new token.
        flops: analytic floating point operations.
        seconds: wall clock of the devices' work, as recorded when it was done.
    """

    requests: int = 0
    prompt_tokens: int = 0
    new_tokens: int = 0
    forwards: int = 0
    flops: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: "Totals") -> "Totals":
        # Every answer of a run is added up here, and `astuple` copies deeply
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Totals(*(ours + theirs for ours, theirs in pairs))

    @classmethod
    def of(cls, charge: Charge) -> "Totals":
        """What one charge adds."""
        return cls(requests=1, seconds=charge.seconds, **vars(charge.usage))


@dataclasses.dataclass(frozen=True)
class Cost:
    """One line of the ledger.

    Attributes:
        attributed: as if computed alone: what came from the store counts like the rest.
        spent: what really ran, in all attempts of the run.
    """

    attributed: Totals = Totals()
    spent: Totals = Totals()

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.attributed + other.attributed, self.spent + other.spent)


Line = tuple[str, str, str, str]
"""Phase, member, purpose; of what judges cost also the phase that wanted it."""


class Ledger:
    """A meter that books every charge under the phase that is running.

    The phases' wall clock is kept apart: it also holds what no member is charged for, such as
    merging weights.

    Attributes:
        run: names the run, the same in all its attempts.
    """

    def __init__(self, run: str = "") -> None:
        self.run = run
        self._lines: dict[Line, Cost] = {}
        self._wall: dict[str, float] = {}
        self._phase: str | None = None

    def __call__(self, charge: Charge) -> None:
        """Books a charge."""
        if self._phase is None:
            raise RuntimeError("the ledger got a charge outside of any phase; use `with phase()`")
        self._book((self._phase, charge.member, charge.purpose, ""), charge)

    def judging(self, charge: Charge) -> None:
        """Books what a judge cost; judges work inside of phases and outside of them."""
        self._book((JUDGE, charge.member, charge.purpose, self._phase or ""), charge)

    def payer(self) -> str:
        """Who pays for what members compute now."""
        return f"{self.run}/{self._phase or ''}"

    def judges_payer(self) -> str:
        """Who pays for what judges compute now."""
        return f"{self.run}/{JUDGE}/{self._phase or ''}"

    def earlier(self, seconds: float) -> None:
        """Adds what a killed attempt computed to the wall clock of the phase that is running."""
        if self._phase is not None:
            self._wall[self._phase] = self._wall.get(self._phase, 0.0) + seconds

    def _book(self, line: Line, charge: Charge) -> None:
        totals = Totals.of(charge)
        cost = Cost(totals, Totals() if charge.cached else totals)
        self._lines[line] = self._lines.get(line, Cost()) + cost

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Books everything inside under `name`: "fit", "respond" or "score"."""
        if name not in PHASES:
            raise ValueError(f"unknown phase {name!r}; there are {', '.join(PHASES)}")
        if self._phase is not None:
            raise RuntimeError(f"phase {name!r} inside phase {self._phase!r}; phases do not nest")
        self._phase = name
        start = time.monotonic()
        try:
            yield
        finally:
            self._phase = None
            self._wall[name] = self._wall.get(name, 0.0) + time.monotonic() - start

    def total(self, *phases: str) -> Cost:
        """Sum over the given phases; without any, over what the method itself needs."""
        wanted = phases or (FIT, RESPOND)
        lines = sorted(line for line in self._lines if line[0] in wanted)
        return sum((self._lines[line] for line in lines), Cost())

    def members(self) -> dict[str, Cost]:
        """Cost per member, over what the method itself needs."""
        costs: dict[str, Cost] = {}
        for (phase, member, *_), cost in sorted(self._lines.items()):
            if phase in (FIT, RESPOND):
                costs[member] = costs.get(member, Cost()) + cost
        return costs

    def to_json(self) -> dict[str, Any]:
        """A JSON-able record whose order does not depend on the order of the charges."""
        lines = [
            {
                "phase": phase,
                "member": member,
                "purpose": purpose,
                **({"during": during} if phase == JUDGE else {}),
                **dataclasses.asdict(cost),
            }
            for (phase, member, purpose, during), cost in sorted(self._lines.items(), key=_by_phase)
        ]
        return {
            "run": self.run,
            "total": dataclasses.asdict(self.total()),
            "wall_seconds": {name: self._wall[name] for name in PHASES if name in self._wall},
            "lines": lines,
        }

    def take_over_fit(self, record: dict[str, Any]) -> None:
        """Books the fit that an earlier attempt finished, with what judges cost in it."""
        for line in record["lines"]:
            during = line.get("during", "")
            if FIT in (line["phase"], during):
                key = (line["phase"], line["member"], line["purpose"], during)
                cost = Cost(Totals(**line["attributed"]), Totals(**line["spent"]))
                self._lines[key] = self._lines.get(key, Cost()) + cost
        self._wall[FIT] = self._wall.get(FIT, 0.0) + record["wall_seconds"].get(FIT, 0.0)


def _by_phase(entry: tuple[Line, Cost]) -> tuple[int, Line]:
    return LINES.index(entry[0][0]), entry[0]
