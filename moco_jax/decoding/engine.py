"""The engine: requests in, responses out, with a store and a meter on the way.

It knows nothing of methods or tasks. Everything that determines a text goes into its key, so that
a finished answer is never computed twice and a killed run replays to where it was.
"""

import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from absl import logging
from tqdm import tqdm

from moco_jax.decoding import schedule
from moco_jax.decoding.call import Call, Record, Row, place_of, solo
from moco_jax.decoding.combine import FIRST, Combine
from moco_jax.decoding.continuations import Continuations, replies
from moco_jax.decoding.continuations import continuations as follow_up
from moco_jax.decoding.floor import Protocol
from moco_jax.decoding.groups import Group, Weights
from moco_jax.decoding.hooks import Charge, Meter, NoStore, Store, unmetered
from moco_jax.decoding.keys import digest
from moco_jax.decoding.placement import Placement
from moco_jax.decoding.render import Prompt, Speaker, check_ids, effective_sampling
from moco_jax.decoding.residency import Residency
from moco_jax.decoding.scoring import Reading, score_key, score_rows, score_usages
from moco_jax.decoding.stacks import LastStack
from moco_jax.decoding.turns import TurnCall, play
from moco_jax.decoding.types import Choices, Request, Response, Sampling, Usage
from moco_jax.models.sharding import MODEL

PyTree = Any
CallT = TypeVar("CallT", bound=Call)
# (call, its plan, wanted requests by index, rows at a time) -> (index into these, its record)
Work = Callable[[CallT, Sequence[Row], Sequence[int], int], Iterator[tuple[int, Record]]]
Scored = tuple[tuple[float, ...], Usage]
"""Log-probability of every token of a text, and what it cost."""

WIDEST = 32


class OutOfMemory(RuntimeError):
    """The device has no room for this many rows."""


class Engine:
    """Runs members on devices.

    Attributes:
        seed: the run's seed; greedy answers ignore it.
        width: rows decoded together, part of what makes a run reproducible to the byte; None takes
            as many as a call has requests, up to 32.
        chunk: most tokens between two looks of the host; the output does not depend on it.
        store: keeps finished answers.
        meter: is told what each cost.
        progress: whether long work draws a bar.
        placement: the devices; the mesh is part of what makes a run reproducible to the byte.
        residency: brings weights from host memory when they are needed; None takes them to be
            on the devices.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        width: int | None = None,
        chunk: int = 32,
        store: Store | None = None,
        meter: Meter = unmetered,
        progress: bool = False,
        placement: Placement | None = None,
        residency: Residency | None = None,
    ):
        self.seed = seed
        self.width = width
        self.chunk = chunk
        self.store = NoStore() if store is None else store
        self.meter = meter
        self.progress = progress
        self.placement = placement or Placement()
        self.residency = residency
        self._widest = WIDEST
        self._last_stack = LastStack(self.placement.weights)
        self._asked: dict[str, int] = {}

    def ask(
        self, members: Sequence[Speaker], requests: Sequence[Request], sampling: Sampling
    ) -> list[Response]:
        """Each request is answered by the member at the same index; answers come in order.

        Requests to one checkpoint share batches, wherever they stand in the list, and so do
        requests to the members of one population.
        """
        responses: dict[int, Response] = {}
        for places in _by_program(members, sampling).values():
            call = Call(
                speakers=[(members[place],) for place in places],
                names=[members[place].name for place in places],
                requests=[requests[place] for place in places],
                sampling=sampling,
                combine=FIRST,
                thetas=[()] * len(places),
            )
            responses |= zip(places, self._answer(call, self._decode), strict=True)
        return [responses[index] for index in range(len(requests))]

    def join(
        self,
        members: Sequence[Speaker],
        requests: Sequence[Request],
        sampling: Sampling,
        combine: Combine,
        theta: PyTree = (),
    ) -> list[Response]:
        """All members write each answer together, token by token.

        Args:
            members: they must share a vocabulary; logits are cut to it. A token that ends the
                answer of any member ends it for all.
            requests: each is rendered with every member's own template.
            sampling: how tokens are drawn from the combined distribution.
            combine: the policy.
            theta: its settings; leaves lead with the request axis.
        """
        if not requests:
            return []
        theta = jax.tree.map(np.asarray, theta)
        call = Call(
            speakers=[tuple(members)] * len(requests),
            names=["+".join(member.name for member in members)] * len(requests),
            requests=list(requests),
            sampling=sampling,
            combine=combine,
            thetas=[
                jax.tree.map(lambda leaf, row=row: leaf[row], theta) for row in range(len(requests))
            ],
            apart=self.placement.sizes.get(MODEL, 1),
        )
        return self._answer(call, self._decode)

    def take_turns(
        self,
        members: Sequence[Speaker],
        requests: Sequence[Request],
        sampling: Sampling,
        protocol: Protocol,
        thetas: Sequence[Any] | None = None,
    ) -> list[Response]:
        """Members, whose tokenizers may differ, write each answer by turns.

        Args:
            members: in the order in which the protocol counts them.
            requests: each is rendered with every member's own template.
            sampling: how tokens are drawn, unless the protocol says otherwise.
            protocol: who writes when.
            thetas: its settings for each request, JSON values.
        """
        if not requests:
            return []
        call = TurnCall(
            speakers=[tuple(members)] * len(requests),
            names=["+".join(member.name for member in members)] * len(requests),
            requests=list(requests),
            sampling=sampling,
            combine=dataclasses.replace(FIRST, name=f"turns: {protocol.name}"),
            thetas=[None] * len(requests) if thetas is None else list(thetas),
            protocol=protocol,
        )
        return self._answer(call, self._play)

    def score(
        self,
        members: Sequence[Speaker],
        requests: Sequence[Request],
        continuations: Sequence[str],
        sampling: Sampling | None = None,
    ) -> list[tuple[float, ...] | None]:
        """Log-probability of every token of each continuation after its request's prompt.

        Both are encoded together (see `continuations`). There is None where they exceed the
        member's context.

        A prompt that several continuations of one call share is read once, and charged once for
        each member and item: the first of them pays for it (`score_usages`).
        """
        settings = sampling or Sampling()
        asks = zip(members, requests, continuations, strict=True)
        ready = [follow_up(member, request, [text], settings) for member, request, text in asks]
        found = self._score_all(members, requests, ready)
        return [None if rows is None else rows[0][0] for rows in found]

    def choose(
        self,
        members: Sequence[Speaker],
        requests: Sequence[Request],
        labels: Sequence[str],
        sampling: Sampling | None = None,
    ) -> list[Choices | None]:
        """How likely each label is as the whole reply to each request, given at once.

        A label ends as the member ends its turns. There is None where the member's context does
        not hold prompt and labels.

        Args:
            members: who is asked, one per request.
            requests: the requests.
            labels: the possible replies, the same for all.
            sampling: how prompts are rendered.
        """
        settings, asks = sampling or Sampling(), zip(members, requests, strict=True)
        ready = [replies(member, request, labels, settings) for member, request in asks]
        return [
            None
            if rows is None
            else Choices(
                tuple(math.fsum(values) for values, _ in rows),
                sum((usage for _, usage in rows), Usage()),
            )
            for rows in self._score_all(members, requests, ready)
        ]

    def _answer(self, call: CallT, work: Work[CallT]) -> list[Response]:
        """Answers a call from the store and, where it has nothing, by work of the devices."""
        width = self.width or min(self._widest, 1 << (call.longest_share - 1).bit_length())
        plan = call.plan(self.seed, self._asked)
        records: list[Record | None] = [None] * len(call.requests)
        cached = [True] * len(call.requests)
        while True:
            keys = [self._key(key) for key in call.keys(plan, width)]
            for index, key in enumerate(keys):
                if records[index] is None and plan[index].prompt.fits:
                    found = records[index] = self.store.get(key)
                    cached[index] = found is None or found.get("cached", True)
            missing: dict[str, list[int]] = {}
            for index, record in enumerate(records):
                if record is None and plan[index].prompt.fits:
                    missing.setdefault(keys[index], []).append(index)
            try:
                for key, record in self._generate(call, plan, missing, width, work):
                    for copy, index in enumerate(missing[key]):
                        records[index], cached[index] = record, copy > 0
                break
            except OutOfMemory:
                width //= 2
                # Later calls would fail at more rows too
                self.width, self._widest = self.width and width, width
                logging.warning("out of device memory: going on with %d rows at a time", width)
        responses = [call.response(i, plan[i].prompt, record) for i, record in enumerate(records)]
        for index, response in enumerate(responses):
            self._charge(call, index, plan[index].prompt, response, records[index], cached[index])
        return responses

    def _generate(
        self,
        call: CallT,
        plan: Sequence[Row],
        missing: dict[str, list[int]],
        width: int,
        work: Work[CallT],
    ) -> Iterator[tuple[str, Record]]:
        """Generates what is missing, storing each record before it is handed on."""
        if not missing:
            return
        keys = list(missing)
        places = [same[0] for same in missing.values()]
        records = self.placement.steps(work(call, plan, places, width))
        mark = time.monotonic()
        with tqdm(
            total=len(keys), desc=call.title(), disable=not self.progress, leave=False
        ) as bar:
            for place, record in _memory_errors(records, width):
                now = time.monotonic()
                record.setdefault("seconds", now - mark)
                mark = now
                self.store.put(keys[place], record)
                bar.update()
                yield keys[place], record

    def _decode(
        self, call: Call, plan: Sequence[Row], places: Sequence[int], width: int
    ) -> Iterator[tuple[int, Record]]:
        """Decodes token by token, yielding (index into `places`, its record) as rows finish."""
        rows = [plan[place] for place in places]
        writer = call.writer()

        def stopped(place: int, tokens: np.ndarray) -> bool:
            return writer.stopped(tokens, rows[place].prompt.thinking)

        machine = call.machine(width, self.chunk)
        placed = self._placed(machine.program.groups, machine.weights)
        machine = dataclasses.replace(machine, weights=placed)
        for place, stream in schedule.run(machine, [row.job for row in rows], stopped):
            answer = writer.write(stream.tokens, stream.finish, rows[place].prompt.thinking)
            record: Record = {
                "text": answer.text,
                "reasoning": answer.reasoning,
                "finish": answer.finish,
                "tokens": stream.tokens[: answer.kept].tolist(),
                "logprobs": stream.logprobs[: answer.kept].tolist(),
            }
            if call.combine.tells:
                record["speakers"] = stream.speakers[: answer.kept].tolist()
            yield place, record

    def _play(
        self, call: TurnCall, plan: Sequence[Row], places: Sequence[int], width: int
    ) -> Iterator[tuple[int, Record]]:
        """Plays turns, yielding (index into `places`, its record) as rows finish."""
        return play(call, plan, places, width, self._weights_of)

    def _weights_of(self, speaker: Speaker) -> Weights:
        """A member's weights where the devices compute with them."""
        group, weights = solo(speaker)
        return self._placed([group], [weights])[0]

    def _charge(
        self,
        call: Call,
        index: int,
        prompt: Prompt,
        response: Response,
        record: Record | None,
        cached: bool,
    ) -> None:
        if record is None:
            return
        speakers = call.speakers[index]
        names = [call.names[index]]
        if len(speakers) > 1:
            names = [speaker.name for speaker in speakers]
        usages = call.usages(index, prompt, record)
        total = sum(usage.flops for usage in usages)
        for name, usage in zip(names, usages, strict=True):
            if usage.forwards:  # not every member gets a turn
                share = record["seconds"] * usage.flops / total
                self.meter(Charge(name, call.requests[index].purpose, usage, share, cached))

    def _score_all(
        self,
        members: Sequence[Speaker],
        requests: Sequence[Request],
        ready: Sequence[Continuations | None],
    ) -> list[list[Scored] | None]:
        """Scores of all that follows each request, checkpoint by checkpoint."""
        found: list[list[Scored] | None] = [None] * len(requests)
        for places in _by_identity(members).values():
            asked = [(place, one) for place in places if (one := ready[place]) is not None]
            named = [
                (members[place].name, requests[place]) for place, one in asked for _ in one.texts
            ]
            rows = [(one.prompt, text) for _, one in asked for text in one.texts]
            scored = iter(self._score(members[places[0]], named, rows) if rows else [])
            for place, one in asked:
                found[place] = list(itertools.islice(scored, len(one.texts)))
        return found

    def _score(
        self,
        member: Speaker,
        named: Sequence[tuple[str, Request]],
        rows: Sequence[tuple[np.ndarray, np.ndarray]],
    ) -> list[Scored]:
        for _, text in rows:
            check_ids(member, text, "a continuation")
        here = place_of(member)
        keys = [self._key(score_key(here, prompt, text)) for prompt, text in rows]
        known = [self.store.get(key) for key in keys]
        records = {key: record for key, record in zip(keys, known, strict=True) if record}
        first = {key: place for place, key in reversed(list(enumerate(keys)))}
        missing = sorted(place for key, place in first.items() if key not in records)
        spent = {
            place for place, found in enumerate(known) if found and not found.get("cached", True)
        }
        spent |= set(missing)
        for key, record in self._scored(member, {keys[place]: rows[place] for place in missing}):
            records[key] = record
        usages = list(score_usages(readings(member, named, rows)))
        for place, usage in enumerate(usages):
            (name, request), seconds = named[place], records[keys[place]]["seconds"]
            self.meter(Charge(name, request.purpose, usage, seconds, place not in spent))
        values = [tuple(records[key]["logprobs"]) for key in keys]
        return list(zip(values, usages, strict=True))

    def _scored(
        self, member: Speaker, rows: dict[str, tuple[np.ndarray, np.ndarray]]
    ) -> Iterator[tuple[str, Record]]:
        """Computes scores, storing each record before it is handed on; no weights for none."""
        if not rows:
            return
        mark, keys = time.monotonic(), list(rows)
        group, weights = solo(member)
        (weights,) = self._placed([group], [weights])
        for place, values in self.placement.steps(score_rows(group, weights, list(rows.values()))):
            now = time.monotonic()
            record: Record = {"logprobs": values.tolist(), "seconds": now - mark}
            mark = now
            self.store.put(keys[place], record)
            yield keys[place], record

    def _placed(self, groups: Sequence[Group], weights: Sequence[Weights]) -> tuple[Weights, ...]:
        """Weights where the devices compute with them."""
        if self.residency is not None:
            return self.residency.weights(groups, weights)
        if groups[0].layout == "voices":
            return (self._last_stack.weights(groups[0], weights[0]),)
        return tuple(map(self.placement.weights, groups, weights))

    def _key(self, key: str) -> str:
        """A key of the store, with the mesh if there is one: it changes how sums round."""
        return digest(key, self.placement.sizes) if self.placement.mesh else key


def _by_identity(members: Sequence[Speaker]) -> dict[str, list[int]]:
    """Places of each distinct checkpoint, in order of first appearance."""
    places: dict[str, list[int]] = {}
    for index, member in enumerate(members):
        places.setdefault(member.identity, []).append(index)
    return places


def _by_program(members: Sequence[Speaker], sampling: Sampling) -> dict[Any, list[int]]:
    """Places of members that one program answers for, in order of first appearance.

    Variants of a population go together where one tokenizer and one set of ends serves them, and
    members whose own settings count where these agree.
    """
    places: dict[Any, list[int]] = {}
    for index, member in enumerate(members):
        who: Any = member.identity
        if member.variant is not None:
            who = id(member.variant.population), id(member.tokenizer), member.eos
        settings = effective_sampling(sampling, member.generation_config)
        places.setdefault((who, repr(settings)), []).append(index)
    return places


def readings(
    member: Speaker,
    named: Sequence[tuple[str, Request]],
    rows: Sequence[tuple[np.ndarray, np.ndarray]],
) -> list[Reading]:
    """What a member reads for scores; it is known under several names where it stands twice."""
    return [
        Reading(member.config, name, request.item, prompt, len(text))
        for (name, request), (prompt, text) in zip(named, rows, strict=True)
    ]


def _memory_errors(work: Iterator[Any], width: int) -> Iterator[Any]:
    """Passes `work` on, naming the error that a smaller batch can mend."""
    try:
        yield from work
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error) or width == 1:
            raise
        raise OutOfMemory(str(error)) from error
