"""One call of the engine: requests that go through one program, made ready and written up."""

import dataclasses
import functools
from collections import Counter
from typing import Any

import jax

from moco_jax.decoding import loop, schedule
from moco_jax.decoding.answers import Writer
from moco_jax.decoding.combine import Combine
from moco_jax.decoding.groups import Group, Weights
from moco_jax.decoding.keys import ENGINE_VERSION, digest, occurrences, row_key
from moco_jax.decoding.population import Population
from moco_jax.decoding.render import Prompt, Speaker, effective_sampling, render
from moco_jax.decoding.sampling import Filters, Knobs
from moco_jax.decoding.source import source_digest
from moco_jax.decoding.stacks import alike
from moco_jax.decoding.types import Request, Response, Sampling, Turn, Usage
from moco_jax.models.cost import generation_flops
from moco_jax.models.tokenizer import shared_vocabulary

PyTree = Any
Record = dict[str, Any]

MOST_ROWS = 256
"""Most rows of a population decoded together."""
UNEVEN = 1.5
"""How much longer the longest share may be than the mean before rows of a bank are mixed."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One request made ready: its prompt, its row of work, and how it was told apart."""

    prompt: Prompt
    job: schedule.Job
    draw: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Call:
    """Requests that go through one program.

    Attributes:
        speakers: per request, who writes the answer: several members together, or one; either the
            same everywhere, or variants of one population.
        names: per request, who is said to have written it.
        requests: what is asked.
        sampling: how tokens are drawn.
        combine: the policy.
        thetas: per request, its settings.
        apart: shares of devices that members can be dealt out to; beyond 1, those who write
            together compute at the same time where they are alike and divide evenly.
    """

    speakers: list[tuple[Speaker, ...]]
    names: list[str]
    requests: list[Request]
    sampling: Sampling
    combine: Combine
    thetas: list[PyTree]
    apart: int = 1

    @functools.cached_property
    def places(self) -> list[int]:
        """The places in their population that requests go to, each once; none without one."""
        first = self.speakers[0]
        if len(first) > 1 or first[0].variant is None:
            return []
        found = {one.variant.place for (one,) in self.speakers if one.variant is not None}
        whole = first[0].variant.population
        # To take some out of whole weights would copy them
        return list(range(whole.size)) if whole.bank is None and len(found) > 1 else sorted(found)

    @functools.cached_property
    def population(self) -> Population | None:
        """The parameter sets that requests go to, or None where all rows share one."""
        variant = self.speakers[0][0].variant
        if not self.places or variant is None:
            return None
        return variant.alone if len(self.places) == 1 else variant.population.select(self.places)

    @functools.cached_property
    def owners(self) -> list[int]:
        """Per request, the index of its parameter set in `population`."""
        if not self.places:
            return [0] * len(self.requests)
        index = {place: number for number, place in enumerate(self.places)}
        return [index[one.variant.place] for (one,) in self.speakers if one.variant is not None]

    @property
    def settings(self) -> Sampling:
        """How tokens are really drawn; all greedy settings are one."""
        settings = effective_sampling(self.sampling, self.speakers[0][0].generation_config)
        return settings.with_greedy() if settings.greedy else settings

    @property
    def random(self) -> bool:
        """Whether answers depend on draws, and so on the seed."""
        return not self.settings.greedy

    @functools.cached_property
    def source(self) -> str:
        """Hash of the code that decides, besides the engine's own."""
        return source_digest(self.combine)

    @property
    def longest_share(self) -> int:
        """How many requests the most asked parameter set has."""
        return max(Counter(self.owners).values(), default=1)

    @functools.cached_property
    def stackable(self) -> bool:
        """Whether those who write together are one stack, with devices of their own for each."""
        speakers = self.speakers[0]
        return (
            self.apart > 1
            and len(speakers) > 1
            and len(speakers) % self.apart == 0
            and len({speaker.config for speaker in speakers}) == 1
            and all(speaker.variant is None for speaker in speakers)
            and alike([speaker.params for speaker in speakers])
        )

    @functools.cached_property
    def groups(self) -> tuple[Group, ...]:
        """The static side of all that is computed."""
        if self.stackable:
            return (Group(self.speakers[0][0].config, len(self.speakers[0]), "voices"),)
        if self.population is None:
            return tuple(map(solo_group, self.speakers[0]))
        uneven = self.longest_share * self.population.size > UNEVEN * len(self.requests)
        return (self.population.group(self.speakers[0][0].config, mixed=uneven),)

    def slots(self, width: int) -> int:
        """Rows decoded together when each parameter set may have `width`."""
        sets = self.groups[0].sets // self.groups[0].voices
        return sets * max(1, min(width, MOST_ROWS // sets))

    def plan(self, seed: int, asked: dict[str, int]) -> list[Row]:
        """Renders every request and gives each its own randomness."""
        pairs = list(zip(self.speakers, self.requests, strict=True))
        prompts = [render(speakers, request, self.settings) for speakers, request in pairs]
        asks = [
            [self.combine.name, prompt.tokens, request.purpose, request.sample]
            for prompt, request in zip(prompts, self.requests, strict=True)
        ]
        # Draws follow from constants and contents alone; the counts tell all members apart
        names = [
            digest([speaker.draws for speaker in speakers], *ask)
            for speakers, ask in zip(self.speakers, asks, strict=True)
        ]
        counted = [
            digest([speaker.identity for speaker in speakers], self.source, *ask)
            for speakers, ask in zip(self.speakers, asks, strict=True)
        ]
        served = [(request.key, request.item) for request in self.requests]
        order = sorted(range(len(asks)), key=lambda index: (served[index], index))
        again = occurrences(asked, counted, order)
        rows = []
        for index, prompt in enumerate(prompts):
            draw = (seed, names[index], again[index]) if self.random else ()
            job = schedule.Job(
                prompt.tokens,
                row_key(*draw),
                prompt.budget,
                self.thetas[index],
                self.owners[index],
            )
            rows.append(Row(prompt, job, draw))
        return rows

    def keys(self, plan: list[Row], width: int) -> list[str]:
        """The store's keys of all rows: digests of everything that determines a text."""
        settings = dataclasses.replace(self.settings, use_generation_config=False)
        recipe = [
            self.source,
            dataclasses.asdict(settings),
            [speaker.eos for speaker in self.speakers[0]],
            [[group.sets, group.layout] for group in self.groups],
            self.slots(width),
            ENGINE_VERSION,
        ]
        return [
            digest(
                recipe,
                [place_of(speaker) for speaker in speakers],
                row.prompt.tokens,
                row.draw,
                jax.tree.leaves(row.job.theta),
            )
            for speakers, row in zip(self.speakers, plan, strict=True)
        ]

    def machine(self, width: int, chunk: int) -> schedule.Machine:
        """The program and weights this call runs on."""
        settings, speakers = self.settings, self.speakers[0]
        vocab_size = min(speaker.config.vocab_size for speaker in speakers)
        if len(speakers) > 1:
            tokenizers = [speaker.tokenizer for speaker in speakers]
            names = [speaker.name for speaker in speakers]
            vocab_size = min(vocab_size, shared_vocabulary(tokenizers, names))
        program = loop.Program(
            self.groups, self.combine, Filters.of(settings), vocab_size, self.source
        )
        slots = self.slots(width)
        return schedule.Machine(
            program, self._weights(), Knobs.of(settings), self.eos(), slots, chunk
        )

    def _weights(self) -> tuple[Weights, ...]:
        if self.stackable:
            return (Weights(tuple(speaker.params for speaker in self.speakers[0])),)
        if self.population is not None:
            return (self.population.weights,)
        return tuple(solo(speaker)[1] for speaker in self.speakers[0])

    def eos(self) -> tuple[int, ...]:
        """Every id that ends an answer of any speaker."""
        return tuple(sorted({token for one in self.speakers[0] for token in one.eos}))

    def writer(self) -> Writer:
        """Turns streams of this call into answers."""
        return Writer(self.speakers[0][0].tokenizer, self.eos(), self.settings.stop)

    def title(self) -> str:
        """What the progress bar says."""
        return f"{self.names[0]}: {self.requests[0].purpose}"

    def usages(self, index: int, prompt: Prompt, record: Record) -> list[Usage]:
        """What each speaker spent on one answer.

        A token that they wrote together is one token written: by the one that was heard, where
        the policy says who, and by the first of them elsewhere.
        """
        count = len(record["tokens"])
        heard = record.get("speakers") or [0] * count
        return [
            Usage(
                prompt_tokens=len(tokens),
                new_tokens=heard.count(place),
                forwards=1 + count,
                flops=generation_flops(speaker.config, len(tokens), count),
            )
            for place, (speaker, tokens) in enumerate(
                zip(self.speakers[index], prompt.tokens, strict=True)
            )
        ]

    def response(self, index: int, prompt: Prompt, record: Record | None) -> Response:
        """What the asker gets."""
        request, name = self.requests[index], self.names[index]
        asked = Turn("user", request.purpose, request.messages[-1].content)
        if record is None:
            return Response(text="", finish="over_length", speaker=name, transcript=(asked,))
        return Response(
            text=record["text"],
            reasoning=record["reasoning"],
            finish=record["finish"],
            usage=sum(self.usages(index, prompt, record), Usage()),
            tokens=tuple(record["tokens"]),
            logprobs=tuple(record["logprobs"]),
            speaker=name,
            speakers=tuple(record.get("speakers", ())),
            transcript=(asked, Turn(name, request.purpose, record["text"])),
            cut_tokens=prompt.cut,
        )


def solo_group(speaker: Speaker) -> Group:
    """The static side of a member by itself, whether or not it stands in a population."""
    if speaker.variant is None:
        return Group(speaker.config)
    return speaker.variant.alone.group(speaker.config, mixed=False)


def solo(speaker: Speaker) -> tuple[Group, Weights]:
    """A member by itself, with its weights."""
    variant = speaker.variant
    weights = Weights(speaker.params) if variant is None else variant.alone.weights
    return solo_group(speaker), weights


def place_of(speaker: Speaker) -> list[str]:
    """A member as it computes here: its identity, dtype and platform."""
    held = speaker.params if speaker.variant is None else speaker.variant.population.params
    return [speaker.identity, str(jax.tree.leaves(held)[0].dtype), jax.default_backend()]
