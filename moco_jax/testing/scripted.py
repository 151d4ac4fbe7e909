"""An engine that computes nothing: a function says what every member answers."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from moco_jax.decoding.combine import FIRST, Combine
from moco_jax.decoding.continuations import replies
from moco_jax.decoding.engine import Engine
from moco_jax.decoding.floor import Draft, DraftEnd, Floor, Line, Protocol
from moco_jax.decoding.render import Speaker, at_once
from moco_jax.decoding.scoring import Reading, score_usages
from moco_jax.decoding.types import Choices, Request, Response, Sampling, Turn, Usage

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
        asked: (member name, request) of every answer and draft, in order.
        scored: (member name, request, continuation) of every score, in order.
        calls: how many requests each call of `ask`, `join` and `take_turns` had.
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

    def take_turns(
        self,
        members: Sequence[Speaker],
        requests: Sequence[Request],
        sampling: Sampling,
        protocol: Protocol,
        thetas: Sequence[Any] | None = None,
    ) -> list[Response]:
        """Plays the protocol with the script's drafts.

        A draft is the answer to the request with the text so far as its prefix, cut to the
        characters asked for; an answer with fewer ends there. A whole Response is the draft as it
        is: it ends where it finished with "stop", and was halted by a policy otherwise.
        """
        self.calls.append(len(requests))
        settings = [None] * len(requests) if thetas is None else thetas
        lines = [
            Line(request, theta, sampling.max_new_tokens)
            for request, theta in zip(requests, settings, strict=True)
        ]
        floor = ScriptedFloor(self, [member.name for member in members], lines, sampling)
        protocol.play(floor)
        floor.finish(floor.open, "length")
        return [floor.response(row) for row in range(len(lines))]

    def score(
        self,
        members: Sequence[Speaker],
        requests: Sequence[Request],
        continuations: Sequence[str],
        sampling: Sampling | None = None,
    ) -> list[tuple[float, ...] | None]:
        """One log-probability per continuation, as if it were one token."""
        del sampling
        asks = zip(members, requests, continuations, strict=True)
        scores: list[tuple[float, ...] | None] = []
        for member, request, text in asks:
            scores.append((self.weigh(member.name, request, text),))
        return scores

    def choose(
        self,
        members: Sequence[Speaker],
        requests: Sequence[Request],
        labels: Sequence[str],
        sampling: Sampling | None = None,
    ) -> list[Choices | None]:
        """The script's log-probability of each label, where the member's context holds them."""
        settings = sampling or Sampling()
        found: list[tuple[float, ...] | None] = []
        costs: list[Reading] = []
        for member, request in zip(members, requests, strict=True):
            ready = replies(member, request, labels, settings)
            if ready is None:
                found.append(None)
                continue
            asked = at_once(member, request, settings)[0]
            found.append(tuple(self.weigh(member.name, asked, label) for label in labels))
            read = Reading(member.config, member.name, request.item, ready.prompt, 1)
            costs += [read] * len(labels)
        usages = score_usages(costs)
        return [
            None
            if one is None
            else Choices(one, sum(itertools.islice(usages, len(labels)), Usage()))
            for one in found
        ]

    def say(self, name: str, request: Request) -> str | Response:
        """What the script says, noted down."""
        self.asked.append((name, request))
        return self.answer(name, request)

    def weigh(self, name: str, request: Request, text: str) -> float:
        """How likely the script finds a text, noted down."""
        self.scored.append((name, request, text))
        return self.logprob(name, request, text)

    def _respond(self, name: str, request: Request) -> Response:
        said = self.say(name, request)
        prompt = request.messages[-1].content
        if isinstance(said, str):
            usage = Usage(len(prompt), len(said), 1 + len(said))
            said = Response(text=said, usage=usage, logprobs=(-1.0,) * len(said))
        turns = (Turn("user", request.purpose, prompt), Turn(name, request.purpose, said.text))
        return said.replace(speaker=name, transcript=turns)


class ScriptedFloor(Floor):
    """A floor on which a script says what members draft; characters count as tokens."""

    def __init__(
        self,
        engine: ScriptedEngine,
        members: Sequence[str],
        lines: Sequence[Line],
        sampling: Sampling,
    ):
        draws = [[line.request.key or line.request.item, line.request.sample] for line in lines]
        super().__init__(members, lines, draws, sampling.stop)
        self._engine = engine
        self._usages = [Usage() for _ in lines]

    def draft(
        self,
        who: int,
        rows: Sequence[int],
        count: int | Sequence[int],
        *,
        read: Sequence[Request] | None = None,
        sampling: Sampling | None = None,
        combine: Combine = FIRST,
        theta: Any = (),
    ) -> list[Draft]:
        """The script's drafts; policy and settings change nothing."""
        del sampling, combine, theta
        counts = [count] * len(rows) if isinstance(count, int) else count
        drafts = []
        for row, most, request in zip(rows, counts, self._asked(rows, read), strict=True):
            said = self._engine.say(self.members[who], request)
            most = min(most, self.lines[row].left)
            text = said if isinstance(said, str) else said.text
            finish: DraftEnd = "end" if len(text) < most else "length"
            if isinstance(said, Response):
                finish = "end" if said.finish == "stop" else "halt"
            text = text[:most]
            size = len(text)
            self._spend(row, request, size, 1 + size)
            drafts.append(Draft(tuple(text), tuple(map(ord, text)), (-1.0,) * size, finish))
        return drafts

    def score(
        self,
        who: int,
        rows: Sequence[int],
        labels: Sequence[str],
        *,
        read: Sequence[Request] | None = None,
    ) -> list[list[tuple[float, ...]] | None]:
        """One log-probability per label, as if it were one token."""
        found: list[list[tuple[float, ...]] | None] = []
        for row, request in zip(rows, self._asked(rows, read), strict=True):
            self._spend(row, request, 0, len(labels))
            found.append([(self._engine.weigh(self.members[who], request, x),) for x in labels])
        return found

    def response(self, row: int) -> Response:
        """What the asker gets."""
        line = self.lines[row]
        purpose = line.request.purpose
        said = [Turn(speaker, role or purpose, text) for speaker, role, text in line.turns]
        return Response(
            text=line.text,
            finish=line.finish or "length",
            usage=self._usages[row],
            speaker="+".join(self.members),
            transcript=(Turn("user", purpose, line.request.messages[-1].content), *said),
            notes=tuple(sorted(line.notes.items())),
        )

    def _asked(self, rows: Sequence[int], read: Sequence[Request] | None) -> Sequence[Request]:
        if read is not None:
            return read
        requests = [self.lines[row].request for row in rows]
        return [
            dataclasses.replace(request, prefix=request.prefix + self.lines[row].text)
            for row, request in zip(rows, requests, strict=True)
        ]

    def _spend(self, row: int, request: Request, new: int, forwards: int) -> None:
        read = len(request.messages[-1].content) + len(request.prefix)
        self._usages[row] = self._usages[row] + Usage(read, new, forwards)
