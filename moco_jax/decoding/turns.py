"""Calls whose answers members write by turns: their keys, their records, and how they are played.

The rows of a call are played in blocks of a fixed width; see `floor` for what a protocol can do and
`session_floor` for how that is computed.
"""

import dataclasses
import functools
import json
import time
from collections.abc import Collection, Iterator, Sequence

from moco_jax.decoding.answers import split_answer
from moco_jax.decoding.call import Call, Record, Row
from moco_jax.decoding.floor import Line, Protocol
from moco_jax.decoding.keys import digest
from moco_jax.decoding.render import Prompt
from moco_jax.decoding.session_floor import SessionFloor, WeightsOf
from moco_jax.decoding.source import source_digest
from moco_jax.decoding.types import Response, Turn, Usage


@dataclasses.dataclass(frozen=True)
class TurnCall(Call):
    """Requests whose answers several members write by turns.

    Attributes:
        protocol: who writes when.
    """

    protocol: Protocol = dataclasses.field(kw_only=True)

    @property
    def random(self) -> bool:
        """A protocol may draw even where no member does."""
        return True

    @functools.cached_property
    def source(self) -> str:
        """Hash of the protocol's code."""
        return source_digest(self.protocol.play)

    def keys(self, plan: list[Row], width: int) -> list[str]:
        """As of a call, with the protocol's settings."""
        settings = list(self.protocol.settings)
        thetas = [json.dumps(theta, sort_keys=True) for theta in self.thetas]
        keys = super().keys(plan, width)
        return [digest(key, settings, theta) for key, theta in zip(keys, thetas, strict=True)]

    def usages(self, index: int, prompt: Prompt, record: Record) -> list[Usage]:
        """What each member spent; where nothing was recorded, as if all had read every token."""
        if "usages" not in record:
            return super().usages(index, prompt, record)
        return [Usage(*usage) for usage in record["usages"]]

    def response(self, index: int, prompt: Prompt, record: Record | None) -> Response:
        """What the asker gets: one turn per segment, and the protocol's notes."""
        response = super().response(index, prompt, record)
        if record is None or "usages" not in record:
            return response
        purpose = self.requests[index].purpose
        turns = tuple(Turn(who, role or purpose, text) for who, role, text in record["turns"])
        return response.replace(
            transcript=response.transcript[:1] + turns,
            notes=tuple(sorted(record["notes"].items())),
        )


def play(
    call: TurnCall, plan: Sequence[Row], places: Sequence[int], width: int, weights: WeightsOf
) -> Iterator[tuple[int, Record]]:
    """Plays requests of a call, a fixed number of rows together.

    Args:
        call: the call.
        plan: its requests made ready.
        places: those that are wanted, by index into the call.
        width: rows together; what is free stays empty, so that a row is computed alike in any
            company.
        weights: gives a member's weights where the devices compute with them.

    Yields:
        (index into `places`, its record).
    """
    order = sorted(range(len(places)), key=lambda index: plan[places[index]].job.longest)
    for first in range(0, len(order), width):
        block = order[first : first + width]
        records = _play_together(call, plan, [places[index] for index in block], width, weights)
        yield from zip(block, records, strict=True)


def _play_together(
    call: TurnCall, plan: Sequence[Row], places: Sequence[int], width: int, weights: WeightsOf
) -> list[Record]:
    mark = time.monotonic()
    prompts = [plan[place].prompt for place in places]
    lines = [
        Line(call.requests[place], call.thetas[place], prompt.budget, prompt.thinking)
        for place, prompt in zip(places, prompts, strict=True)
    ]
    draws = [plan[place].draw for place in places]
    floor = SessionFloor(call.speakers[0], lines, prompts, draws, call.settings, width, weights)
    call.protocol.play(floor)
    floor.finish(floor.open, "length")
    seconds = (time.monotonic() - mark) / len(places)
    hidden = floor.hidden
    return [_record(line, floor.usages(row), seconds, hidden) for row, line in enumerate(lines)]


def _record(line: Line, usages: Sequence[Usage], seconds: float, hidden: Collection[str]) -> Record:
    """What is kept of a finished row; the same whether it is new or was stored."""
    answer, reasoning = split_answer(line.text, line.thinking, hidden)
    record = {
        "text": answer,
        "reasoning": reasoning,
        "finish": line.finish,
        "tokens": [],
        "logprobs": [],
        "turns": line.turns,
        "usages": [list(vars(usage).values()) for usage in usages],
        "notes": line.notes,
        "seconds": seconds,
    }
    return json.loads(json.dumps(record))
