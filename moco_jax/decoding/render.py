"""From a request to the token ids each member reads."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from moco_jax.decoding.population import Variant
from moco_jax.decoding.types import Request, Sampling
from moco_jax.models import vocabulary
from moco_jax.models.config import ModelConfig
from moco_jax.models.tokenizer import END_THINK, THINK, ChatTemplate, inside_thought

PyTree = Any


class Speaker(Protocol):
    """What the engine needs of a member."""

    @property
    def name(self) -> str:
        """For transcripts and the ledger."""

    @property
    def identity(self) -> str:
        """Hash of tensors, config, tokenizer and end tokens."""

    @property
    def draws(self) -> str:
        """What its random draws follow from: content, never the names of anything."""

    @property
    def config(self) -> ModelConfig:
        """The architecture."""

    @property
    def params(self) -> PyTree:
        """The weights, on device."""

    @property
    def variant(self) -> Variant | None:
        """Its place in a population, or None."""

    @property
    def tokenizer(self) -> Any:
        """A `transformers` tokenizer."""

    @property
    def template(self) -> ChatTemplate:
        """Renders conversations as token ids."""

    @property
    def eos(self) -> tuple[int, ...]:
        """Ids that end an answer."""

    @property
    def generation_config(self) -> dict[str, Any]:
        """The checkpoint's own sampling settings."""


@dataclasses.dataclass(frozen=True)
class Prompt:
    """A rendered request.

    Attributes:
        tokens: i32[n] per speaker, each by its own template.
        budget: tokens that may follow; 0 when the prompt fills the context.
        cut: tokens cut from the middle, the most over speakers.
        thinking: whether it ends inside an open `<think>`.
    """

    tokens: tuple[np.ndarray, ...]
    budget: int
    cut: int
    thinking: bool

    @property
    def fits(self) -> bool:
        """Whether at least one token can follow."""
        return self.budget > 0


def render(speakers: Sequence[Speaker], request: Request, sampling: Sampling) -> Prompt:
    """Renders a request with every speaker's template, within every speaker's context."""
    parts = [_render(speaker, request, sampling) for speaker in speakers]
    room = min(
        speaker.config.max_positions - len(tokens)
        for speaker, (tokens, _, _) in zip(speakers, parts, strict=True)
    )
    return Prompt(
        tokens=tuple(np.array(tokens, np.int32) for tokens, _, _ in parts),
        budget=max(min(sampling.max_new_tokens, room), 0),
        cut=max(cut for _, cut, _ in parts),
        thinking=parts[0][2],
    )


def at_once(
    speaker: Speaker, request: Request, sampling: Sampling
) -> tuple[Request, Sampling, Prompt]:
    """A request to be answered without a thought, with the sampling and the prompt that does it.

    Templates that know `enable_thinking` are told; a thought that one opens still is closed.
    """
    sampling = dataclasses.replace(sampling, thinking=False)
    prompt = render((speaker,), request, sampling)
    if prompt.thinking:
        request = dataclasses.replace(request, prefix=f"{request.prefix}\n{END_THINK}\n\n")
        prompt = render((speaker,), request, sampling)
    return request, sampling, prompt


def _render(
    speaker: Speaker, request: Request, sampling: Sampling
) -> tuple[Sequence[int], int, bool]:
    """Token ids of a request, how many were cut, and whether it ends inside a thought."""
    template, cut = speaker.template, 0
    asked = request.messages, request.prefix, sampling.thinking
    tokens = template.render(*asked)
    limit = speaker.config.max_positions - 1
    if len(tokens) > limit and sampling.overflow == "truncate":
        room = max(speaker.config.max_positions - sampling.max_new_tokens, limit // 2)
        tokens, cut = template.truncate(request.messages, room, request.prefix, sampling.thinking)
    if not tokens:
        raise ValueError(
            f"{speaker.name} got an empty prompt: its tokenizer has no chat template and adds no "
            "BOS token, so an empty question leaves nothing to continue; ask something"
        )
    check_ids(speaker, tokens, "a prompt")
    # Only a template or prefix that speaks of thoughts can leave one open; rendering again costs.
    may_think = THINK in template.source or THINK in request.prefix
    return tokens, cut, may_think and inside_thought(template.text(*asked), request.prefix)


def check_ids(speaker: Speaker, tokens: Sequence[int] | np.ndarray, what: str) -> None:
    """Raises ValueError if a token has no row in the member's embedding; `what` holds them."""
    rows, tokenizer = speaker.config.vocab_size, speaker.tokenizer
    vocabulary.check_ids(tokens, rows, tokenizer, f"{what} of {speaker.name}")


_OWN_SETTINGS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")


def effective_sampling(sampling: Sampling, own: Mapping[str, Any]) -> Sampling:
    """`sampling`, overridden by the member's `generation_config.json` where that was asked for.

    A checkpoint that says `do_sample: false` decodes greedily; greedy sampling stays greedy.

    Args:
        sampling: what was asked for.
        own: the member's generation config.
    """
    if not sampling.use_generation_config or sampling.greedy:
        return sampling
    changes = {name: own[name] for name in _OWN_SETTINGS if own.get(name) is not None}
    if not own.get("do_sample", True):
        changes["temperature"] = 0.0
    return dataclasses.replace(sampling, **changes)
