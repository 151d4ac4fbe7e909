"""An engine that computes nothing: it renders what is asked, answers at once, and counts."""

import dataclasses
import functools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from moco_jax.decoding.buckets import PREFILL_BLOCK, power_bucket, prefill_rows
from moco_jax.decoding.call import MOST_ROWS, Call, Record, Row, place_of
from moco_jax.decoding.engine import CallT, Engine, Scored, Work, readings
from moco_jax.decoding.hooks import Charge
from moco_jax.decoding.render import Prompt, Speaker
from moco_jax.decoding.schedule import Job, slots_of
from moco_jax.decoding.scoring import score_key, score_usages
from moco_jax.decoding.types import Request, Response
from moco_jax.methods.prompts import FINISH, UNCONFIDENT
from moco_jax.models.config import ModelConfig
from moco_jax.models.cost import flops_per_token, generation_flops
from moco_jax.models.memory import Hardware, Load, cache_bytes, weight_bytes
from moco_jax.runs.planning.rates import Rates

FILLER = "it may be so, "
NO_KEY = np.zeros(2, np.uint32)


@dataclasses.dataclass(frozen=True)
class Scenario:
    """What answers are taken to be like, where a method looks at them.

    Attributes:
        name: for the reader.
        doubtful: members are less sure of test items than of dev items, and say so; all say it in
            other words, and nobody finishes of his own accord.
        rising: every score on dev is better than all before it.
    """

    name: str
    doubtful: bool
    rising: bool


SURE = Scenario("all answers are equally sure and no dev score changes", False, False)
DOUBTFUL = Scenario(
    "all are less sure on test than on dev, say so in other words, and dev scores keep rising",
    True,
    True,
)
SCENARIOS = (SURE, DOUBTFUL)


@dataclasses.dataclass(frozen=True)
class Demand:
    """What one call of the engine wants at once.

    Attributes:
        speakers: identities of the members that answer.
        configs: theirs.
        rows: requests of the most asked parameter set that are not answered yet.
        sets: parameter sets that are decoded side by side.
        stacked: each of them has full weights of its own.
        longest_prompt: in tokens.
        slots: of the cache, per row, in all stages together.
    """

    speakers: tuple[str, ...]
    configs: tuple[ModelConfig, ...]
    rows: int
    sets: int
    stacked: bool
    longest_prompt: int
    slots: int

    def load(self, width: int) -> Load:
        """Its shapes when each parameter set may have `width` rows."""
        rows = self.sets * max(1, min(width, MOST_ROWS // self.sets))
        return Load(
            configs=self.configs,
            rows=rows,
            slots=self.slots,
            block=power_bucket(min(self.longest_prompt, PREFILL_BLOCK)),
            block_rows=prefill_rows(rows),
            sets=self.sets if self.stacked else 1,
        )


class PlanningEngine(Engine):
    """Answers with made-up texts of a given length; its meter gets the real requests and tokens.

    The seconds it charges are those that the devices' rates allow, without compiling.

    Attributes:
        demands: of every call, as if none of its answers were known.
    """

    def __init__(
        self,
        *,
        rates: Rates,
        dtype: str,
        hardware: Hardware,
        scenario: Scenario,
        dev: frozenset[str] = frozenset(),
        expected_tokens: int | None = None,
        **settings: Any,
    ):
        """Makes an engine.

        Args:
            rates: of one device.
            dtype: of the weights.
            hardware: the devices.
            scenario: what answers are like.
            dev: ids of the dev items.
            expected_tokens: of every answer; None takes as many as it may have.
            settings: as of `Engine`.
        """
        super().__init__(**settings)
        self.demands: dict[Demand, None] = {}
        self._rates = rates
        self._dtype = dtype
        self._hardware = hardware
        self._scenario = scenario
        self._expected = expected_tokens
        self._dev = dev
        self._prompts: dict[int, Prompt] = {}
        self._voices: dict[str, int] = {}

    def _answer(self, call: CallT, work: Work[CallT]) -> list[Response]:
        """Notes what a call wants, whether or not its answers are known."""
        self._prompts.clear()
        responses = super()._answer(call, work)
        prompts = {index: prompt for index, prompt in self._prompts.items() if prompt.fits}
        if prompts:
            self.demands[_demand(call, prompts)] = None
        return responses

    def _decode(
        self, call: Call, plan: Sequence[Row], places: Sequence[int], width: int
    ) -> Iterator[tuple[int, Record]]:
        """Makes up what is missing."""
        rows = [plan[place] for place in places]
        lengths = [min(row.prompt.budget, self._expected or row.prompt.budget) for row in rows]
        demand = _demand(call, dict(zip(places, (row.prompt for row in rows), strict=True)))
        seconds = self._seconds(demand.load(width), rows, lengths) / len(rows)
        tokenizer = call.speakers[0][0].tokenizer
        for index, (place, length) in enumerate(zip(places, lengths, strict=True)):
            new = call.requests[place].item not in self._dev
            record = {
                "text": made_up(tokenizer, length, self._start(call.names[place])),
                "reasoning": "",
                "finish": "length" if length == plan[place].prompt.budget else "stop",
                "tokens": [0] * length,
                "logprobs": [-2.0 if new and self._scenario.doubtful else -1.0] * length,
                "seconds": seconds,
            }
            yield index, record

    _play = _decode

    def _start(self, name: str) -> str:
        """What a member begins with: what ends the work of all, or doubts of its own."""
        if not self._scenario.doubtful:
            return f"{FINISH} "
        return f"{UNCONFIDENT} " + "so " * self._voices.setdefault(name, len(self._voices))

    def _charge(
        self,
        call: Call,
        index: int,
        prompt: Prompt,
        response: Response,
        record: Record | None,
        cached: bool,
    ) -> None:
        super()._charge(call, index, prompt, response, record, cached)
        self._prompts[index] = prompt

    def _seconds(self, load: Load, rows: Sequence[Row], lengths: Sequence[int]) -> float:
        """Prefill of all prompts, and decode steps with the slots as full as can be."""
        total = 0.0
        steps = max(max(lengths), sum(lengths) / load.rows)
        for group, config in enumerate(load.configs):
            prompts = [len(row.prompt.tokens[group]) for row in rows]
            reading = sum(generation_flops(config, prompt, 0) for prompt in prompts)
            total += self._rates.seconds(reading, 0, PREFILL_BLOCK)
            context = int(np.mean(prompts) + np.mean(lengths) / 2)
            flops = load.rows * flops_per_token(config, context)
            total += steps * self._rates.seconds(flops, self._read(load, config), load.rows)
        return total

    def _read(self, load: Load, config: ModelConfig) -> int:
        """Bytes of weights and cache that a decode step reads."""
        held = self._hardware.multiplied_in(self._dtype)
        weights = weight_bytes(config, held, self._hardware) * load.sets
        return weights + cache_bytes(config, load.rows, load.slots, self._dtype, self._hardware)

    def _score(
        self,
        member: Speaker,
        named: Sequence[tuple[str, Request]],
        rows: Sequence[tuple[np.ndarray, np.ndarray]],
    ) -> list[Scored]:
        """Makes up log-probabilities, as different as their keys."""
        found: list[Scored] = []
        usages = score_usages(readings(member, named, rows))
        for (name, request), (prompt, text), usage in zip(named, rows, usages, strict=True):
            key = self._key(score_key(place_of(member), prompt, text))
            known = self.store.get(key)
            seconds = self._rates.seconds(usage.flops, 0, PREFILL_BLOCK)
            value = -1.0 - int(key[:8], 16) / 2**32
            self.store.put(key, {"logprobs": [value] * len(text), "seconds": seconds})
            self.meter(Charge(name, request.purpose, usage, seconds, known is not None))
            found.append(((value,) * len(text), usage))
        return found


def _demand(call: Call, prompts: Mapping[int, Prompt]) -> Demand:
    """What those requests of a call want at once, by their places in it."""
    owners = Counter(call.owners[index] for index in prompts)
    jobs = [Job(prompt.tokens, NO_KEY, prompt.budget) for prompt in prompts.values()]
    return Demand(
        speakers=tuple(speaker.identity for speaker in call.speakers[0]),
        configs=tuple(speaker.config for speaker in call.speakers[0]),
        rows=max(owners.values()),
        sets=call.groups[0].sets,
        stacked=call.groups[0].layout == "stack",
        longest_prompt=max(len(tokens) for job in jobs for tokens in job.prompts),
        slots=slots_of(jobs),
    )


@functools.lru_cache(maxsize=1024)
def made_up(tokenizer: Any, count: int, start: str) -> str:
    """A text of about `count` tokens from which no answer can be read."""
    tokens = tokenizer.encode(start + FILLER * count, add_special_tokens=False)[:count]
    return tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)


class Memo:
    """A store in memory."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}

    def get(self, key: str) -> Record | None:
        """The record stored under `key`, or None."""
        return self._records.get(key)

    def put(self, key: str, record: Record) -> None:
        """Keeps a record."""
        self._records[key] = record
