"""One call of the engine: requests that go through one program, made ready and written up."""

import dataclasses
from typing import Any

import jax

from moco_jax.decoding import loop, schedule
from moco_jax.decoding.answers import Writer
from moco_jax.decoding.combine import Combine
from moco_jax.decoding.keys import ENGINE_VERSION, digest, occurrences, row_key
from moco_jax.decoding.render import Prompt, Speaker, effective_sampling, render
from moco_jax.decoding.sampling import Filters, Knobs
from moco_jax.decoding.types import Request, Response, Sampling, Turn, Usage
from moco_jax.models.cost import generation_flops
from moco_jax.models.tokenizer import shared_vocabulary

PyTree = Any
Record = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Row:
    """One request made ready: its prompt, its row of work, and how it was told apart."""

    prompt: Prompt
    job: schedule.Job
    draw: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Call:
    """Requests that go through one program."""

    speakers: tuple[Speaker, ...]
    names: list[str]
    requests: list[Request]
    sampling: Sampling
    combine: Combine
    thetas: list[PyTree]

    @property
    def settings(self) -> Sampling:
        """How tokens are really drawn; all greedy settings are one."""
        settings = effective_sampling(self.sampling, self.speakers[0])
        return settings.with_greedy() if settings.greedy else settings

    @property
    def recipe(self) -> list[Any]:
        """What besides prompt and draw determines a text."""
        places = [place_of(speaker) for speaker in self.speakers]
        settings = dataclasses.replace(self.settings, use_generation_config=False)
        return [places, self.combine.name, self.combine.version, dataclasses.asdict(settings)]

    def plan(self, seed: int, asked: dict[str, int]) -> list[Row]:
        """Renders every request and gives each its own randomness."""
        prompts = [render(self.speakers, request, self.settings) for request in self.requests]
        identities = [speaker.identity for speaker in self.speakers]
        names = [
            digest(identities, self.combine.name, prompt.tokens, request.purpose, request.sample)
            for prompt, request in zip(prompts, self.requests, strict=True)
        ]
        order = sorted(range(len(names)), key=lambda index: (self.requests[index].item, index))
        again = occurrences(asked, names, order)
        rows = []
        for index, prompt in enumerate(prompts):
            draw = () if self.settings.greedy else (seed, names[index], again[index])
            job = schedule.Job(prompt.tokens, row_key(*draw), prompt.budget, self.thetas[index])
            rows.append(Row(prompt, job, draw))
        return rows

    def key(self, row: Row, width: int) -> str:
        """The store's key of a row."""
        theta = jax.tree.leaves(row.job.theta)
        return digest(self.recipe, row.prompt.tokens, row.draw, theta, width, ENGINE_VERSION)

    def machine(self, width: int, chunk: int) -> schedule.Machine:
        """The program and weights this call runs on."""
        settings = self.settings
        vocab_size = min(speaker.config.vocab_size for speaker in self.speakers)
        if len(self.speakers) > 1:
            tokenizers = [speaker.tokenizer for speaker in self.speakers]
            names = [speaker.name for speaker in self.speakers]
            vocab_size = min(vocab_size, shared_vocabulary(tokenizers, names))
        program = loop.Program(
            configs=tuple(speaker.config for speaker in self.speakers),
            combine=self.combine,
            filters=Filters.of(settings),
            vocab_size=vocab_size,
        )
        params = tuple(speaker.params for speaker in self.speakers)
        return schedule.Machine(program, params, Knobs.of(settings), self.eos(), width, chunk)

    def eos(self) -> tuple[int, ...]:
        """Every id that ends an answer of any speaker."""
        return tuple(sorted({token for speaker in self.speakers for token in speaker.eos}))

    def writer(self) -> Writer:
        """Turns streams of this call into answers."""
        return Writer(self.speakers[0].tokenizer, self.eos(), self.settings.stop)

    def title(self) -> str:
        """What the progress bar says."""
        return f"{self.names[0]}: {self.requests[0].purpose}"

    def usages(self, prompt: Prompt, count: int) -> list[Usage]:
        """What each speaker spent on one answer of `count` tokens."""
        return [
            Usage(
                prompt_tokens=len(tokens),
                new_tokens=count,
                forwards=1 + count,
                flops=generation_flops(speaker.config, len(tokens), count),
            )
            for speaker, tokens in zip(self.speakers, prompt.tokens, strict=True)
        ]

    def response(self, index: int, prompt: Prompt, record: Record | None) -> Response:
        """What the asker gets."""
        request, name = self.requests[index], self.names[index]
        asked = Turn("user", request.purpose, request.messages[-1].content)
        if record is None:
            return Response(text="", finish="prompt_too_long", speaker=name, transcript=(asked,))
        usages = self.usages(prompt, len(record["tokens"]))
        whole = sum(usages, Usage())
        return Response(
            text=record["text"],
            reasoning=record["reasoning"],
            finish=record["finish"],
            usage=dataclasses.replace(whole, new_tokens=len(record["tokens"])),
            tokens=tuple(record["tokens"]),
            logprobs=tuple(record["logprobs"]),
            speaker=name,
            transcript=(asked, Turn(name, request.purpose, record["text"])),
            cut_tokens=prompt.cut,
        )


def place_of(speaker: Speaker) -> list[str]:
    """A member as it computes here: its identity, dtype and platform."""
    leaf = jax.tree.leaves(speaker.params)[0]
    return [speaker.identity, str(leaf.dtype), jax.default_backend()]
