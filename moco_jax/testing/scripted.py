"""An engine that computes nothing: a function says what every member answers."""

from collections.abc import Callable, Sequence
from typing import Any

from moco_jax.decoding.combine import Combine
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.render import Speaker
from moco_jax.decoding.types import Request, Response, Sampling, Turn, Usage

Answer = Callable[[str, Request], str | Response]
LogProb = Callable[[str, Request, str], float]


def unscripted(member: str, request: Request, continuation: str) -> float:
    """Refuses: the script has no log-probabilities."""
    raise ValueError(
        f"{member} was asked to score {continuation!r} ({request.purpose}), but this "
        "ScriptedEngine has no `logprob` function; pass one"
    )


class ScriptedEngine(Engine):
    """Answers from functions and remembers every request.

    Characters count as tokens: usage and log-probabilities (all -1) follow from the texts.

    Attributes:
        answer: `(member name, request) -> text`, or a whole Response where more than the text
            matters. Joined members are called `a+b`.
        logprob: `(member name, request, continuation) -> log-probability of the continuation`.
        asked: (member name, request) of every answer, in order.
        scored: (member name, request, continuation) of every score, in order.
        calls: how many requests each call of `ask` and `join` had.
    """

    def __init__(self, answer: Answer, logprob: LogProb = unscripted):
        super().__init__()
        self.answer = answer
        self.logprob = logprob
        self.asked: list[tuple[str, Request]] = []
        self.scored: list[tuple[str, Request, str]] = []
        self.calls: list[int] = []

    def ask(
        self, members: Sequence[Speaker], requests: Sequence[Request], sampling: Sampling
    ) -> list[Response]:
        """The script's answers, in order."""
        del sampling
        self.calls.append(len(requests))
        names = [member.name for member in members]
        return [self._respond(name, r) for name, r in zip(names, requests, strict=True)]

    def join(
        self,
        members: Sequence[Speaker],
        requests: Sequence[Request],
        sampling: Sampling,
        combine: Combine,
        theta: Any = (),
    ) -> list[Response]:
        """The script's answers for `a+b`; policy and settings change nothing."""
        del sampling, combine, theta
        self.calls.append(len(requests))
        name = "+".join(member.name for member in members)
        return [self._respond(name, request) for request in requests]

    def score(
        self,
        members: Sequence[Speaker],
        requests: Sequence[Request],
        continuations: Sequence[str],
        sampling: Sampling | None = None,
    ) -> list[tuple[float, ...]]:
        """One log-probability per continuation, as if it were one token."""
        del sampling
        asks = zip(members, requests, continuations, strict=True)
        scores: list[tuple[float, ...]] = []
        for member, request, text in asks:
            self.scored.append((member.name, request, text))
            scores.append((self.logprob(member.name, request, text),))
        return scores

    def _respond(self, name: str, request: Request) -> Response:
        self.asked.append((name, request))
        said = self.answer(name, request)
        prompt = request.messages[-1].content
        if isinstance(said, str):
            usage = Usage(len(prompt), len(said), 1 + len(said))
            said = Response(text=said, usage=usage, logprobs=(-1.0,) * len(said))
        turns = (Turn("user", request.purpose, prompt), Turn(name, request.purpose, said.text))
        return said.replace(speaker=name, transcript=turns)
