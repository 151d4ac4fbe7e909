"""What a member is asked, how it should answer, and what comes back."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from moco_jax.tasks.surrogates import refuse_halves

Finish = Literal["stop", "length", "over_length"]
Overflow = Literal["refuse", "truncate"]


@dataclasses.dataclass(frozen=True)
class Message:
    """One turn of a conversation; `role` is "system", "user" or "assistant".

    Raises:
        ValueError: the text holds a lone surrogate, which nothing can encode.
    """

    role: str
    content: str

    def __post_init__(self) -> None:
        refuse_halves(self.content, f"the {self.role} message")


@dataclasses.dataclass(frozen=True)
class Request:
    """What a member is asked.

    Attributes:
        messages: the conversation so far, ending with a user turn.
        prefix: what the assistant has already said; the response continues it.
        item: id of the item it serves, for transcripts; it never changes the answer.
        key: of the item, by its content (`Item.key`): of requests that are equal otherwise it says
            which comes first, wherever their items stand.
        purpose: why it is asked ("answer", "judge round 2"); part of the randomness and the ledger.
        sample: index among several samples of the same request.
    """

    messages: tuple[Message, ...]
    prefix: str = ""
    item: str = ""
    key: str = ""
    purpose: str = "answer"
    sample: int = 0

    def __post_init__(self) -> None:
        refuse_halves(self.prefix, "the prefix")

    @classmethod
    def user(cls, text: str, **fields: Any) -> "Request":
        """A request with one user turn; `fields` are the other attributes."""
        return cls(messages=(Message("user", text),), **fields)


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How tokens are drawn; the defaults are MoCo's.

    Filters apply in this order: repetition penalty, temperature, top-k, top-p, min-p.

    Attributes:
        max_new_tokens: upper bound on generated tokens, EOS included.
        temperature: 0 is greedy.
        top_p: keeps the smallest set of tokens whose probability reaches it; 1 keeps all.
        top_k: keeps the k most likely tokens; 0 keeps all.
        min_p: drops tokens less likely than this share of the most likely one.
        repetition_penalty: divides positive and multiplies negative logits of tokens that stand in
            the prompt or the answer (arXiv 1909.05858); 1 is off.
        stop: strings that end the answer; they are cut off. A string is one of them.
        thinking: passed to chat templates that know `enable_thinking`; None leaves their default.
        use_generation_config: the member's own `generation_config.json` overrides what it names.
        overflow: a prompt beyond the context is refused, or its middle is cut and counted.
    """

    max_new_tokens: int = 512
    temperature: float = 0.7
    top_p: float = 0.9
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    thinking: bool | None = None
    use_generation_config: bool = False
    overflow: Overflow = "refuse"

    def __post_init__(self):
        object.__setattr__(self, "stop", tuple(several(self.stop)))
        checks = {
            "max_new_tokens": (self.max_new_tokens >= 1, "at least 1"),
            "temperature": (
                self.temperature >= 0 and math.isfinite(self.temperature),
                "0 (greedy) or more, and finite",
            ),
            "top_p": (0 < self.top_p <= 1, "in (0, 1]"),
            "top_k": (self.top_k >= 0, "0 (off) or more"),
            "min_p": (0 <= self.min_p < 1, "in [0, 1)"),
            "repetition_penalty": (self.repetition_penalty > 0, "above 0"),
            "overflow": (self.overflow in ("refuse", "truncate"), '"refuse" or "truncate"'),
        }
        for name, (holds, wanted) in checks.items():
            if not holds:
                raise ValueError(f"Sampling.{name} is {getattr(self, name)!r}; it must be {wanted}")
        refuse_halves(self.stop, "Sampling.stop")
        if any(not text for text in self.stop):
            raise ValueError("Sampling.stop holds an empty string, which would stop every answer")

    @property
    def greedy(self) -> bool:
        """Whether the most likely token is always taken."""
        return self.temperature == 0

    def with_greedy(self) -> "Sampling":
        """The same settings at temperature 0, without filters that then do nothing."""
        return dataclasses.replace(self, temperature=0.0, top_p=1.0, top_k=0, min_p=0.0)


@dataclasses.dataclass(frozen=True)
class Usage:
    """What one response cost as if computed alone.

    Attributes:
        prompt_tokens: tokens read, summed over the members that took part.
        new_tokens: tokens of the answer (one stream, however many members took part).
        forwards: forward passes: one per prompt and one per new token, per member.
        flops: analytic floating point operations.
    """

    prompt_tokens: int = 0
    new_tokens: int = 0
    forwards: int = 0
    flops: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.new_tokens + other.new_tokens,
            self.forwards + other.forwards,
            self.flops + other.flops,
        )


@dataclasses.dataclass(frozen=True)
class Turn:
    """One line of a transcript: who spoke, in which role, and the text."""

    speaker: str
    role: str
    text: str


@dataclasses.dataclass(frozen=True)
class Response:
    """What comes back.

    Attributes:
        text: the answer, without reasoning, stop string or special tokens.
        reasoning: what stood before `</think>`.
        finish: "stop", "length" (cut), or "over_length" (never run).
        usage: what this response cost as if alone.
        tokens: the generated token ids, EOS included.
        logprobs: per token, its log-probability under the distribution the stream was drawn from,
            at temperature 1 and without filters.
        speaker: name of the member (or the joined members) that wrote the text.
        speakers: per token, which of the joined members was heard, where their policy says so.
        transcript: the turns that led to it.
        cut_tokens: prompt tokens cut from the middle under `overflow="truncate"`.
        notes: what a method wants to show about this response (chosen member, confidence, ...).
    """

    text: str
    reasoning: str = ""
    finish: Finish = "stop"
    usage: Usage = Usage()
    tokens: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    speaker: str = ""
    speakers: tuple[int, ...] = ()
    transcript: tuple[Turn, ...] = ()
    cut_tokens: int = 0
    notes: tuple[tuple[str, Any], ...] = ()

    @property
    def mean_logprob(self) -> float:
        """Mean log-probability of the generated tokens; minus infinity when there are none."""
        return sum(self.logprobs) / len(self.logprobs) if self.logprobs else -math.inf

    def replace(self, **changes: Any) -> "Response":
        """A copy with other fields."""
        return dataclasses.replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """A JSON-able record; `from_json` restores it exactly."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "Response":
        """Restores what `to_json` wrote."""
        fields = dict(record)
        fields["usage"] = Usage(**fields["usage"])
        fields["tokens"] = tuple(fields["tokens"])
        fields["logprobs"] = tuple(fields["logprobs"])
        fields["speakers"] = tuple(fields.get("speakers", ()))
        fields["transcript"] = tuple(Turn(**turn) for turn in fields["transcript"])
        fields["notes"] = tuple((name, value) for name, value in fields["notes"])
        return cls(**fields)


def several(texts: str | Sequence[str]) -> list[str]:
    """Texts as a list; a string is one text, not its letters."""
    return [texts] if isinstance(texts, str) else list(texts)


class Choices(NamedTuple):
    """What a member thinks of a few labels as its whole reply.

    Attributes:
        logprobs: per label, the log-probability of its tokens and of the end behind them, summed.
        usage: what it cost to find out.
    """

    logprobs: tuple[float, ...]
    usage: Usage


def spoken(response: Response, role: str) -> Turn:
    """The turn that `response` adds to a transcript."""
    return Turn(speaker=response.speaker, role=role, text=response.text)


def total_usage(responses: Sequence[Response]) -> Usage:
    """Sum of what several responses cost."""
    return sum((response.usage for response in responses), Usage())
