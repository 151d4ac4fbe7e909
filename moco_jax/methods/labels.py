"""Decisions read from log-probabilities instead of generated text."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from moco_jax.decoding.types import Request, Response, Turn, Usage
from moco_jax.pool import Member
from moco_jax.system import Context


@dataclasses.dataclass(frozen=True)
class Weighed:
    """What a member thinks of a few labels as its reply.

    Attributes:
        logprobs: per label, the log-probability that it is the whole reply: of its tokens and the
            end behind them, summed, so that "1" is told from "10"; all 0 if it was not asked.
        usage: what it cost to find out.
        fits: whether prompt and labels stood within the member's context; else it is not asked.
    """

    logprobs: tuple[float, ...]
    usage: Usage
    fits: bool = True

    @property
    def probabilities(self) -> list[float]:
        """Shares that sum to 1 over the labels."""
        values = np.array(self.logprobs)
        shares = np.exp(values - values.max())
        return list((shares / shares.sum()).tolist())


def weigh(
    context: Context, asks: Sequence[tuple[int | Member, Request]], labels: Sequence[str]
) -> list[Weighed]:
    """How a member's reply is divided among a few labels; the prompt is read once for all of them.

    A member that reasons is asked without thinking, since the reply has to come at once.

    Args:
        context: the members and the engine.
        asks: (member, by index in the pool or itself, request).
        labels: the possible replies, the same for all.
    """
    members = [context.pool[who] if isinstance(who, int) else who for who, _ in asks]
    requests = [request for _, request in asks]
    found = context.engine.choose(members, requests, labels, context.sampling)
    unasked = Weighed((0.0,) * len(labels), Usage(), fits=False)
    return [unasked if one is None else Weighed(one.logprobs, one.usage) for one in found]


def as_reply(
    context: Context, ask: tuple[int | Member, Request], weighed: Weighed, labels: Sequence[str]
) -> Response:
    """The likeliest label as if the member had written it; empty if it was not asked."""
    who, request = ask
    speaker = (context.pool[who] if isinstance(who, int) else who).name
    turns = [Turn("user", request.purpose, request.messages[-1].content)]
    if not weighed.fits:
        return Response("", finish="over_length", speaker=speaker, transcript=tuple(turns))
    label = labels[int(np.argmax(weighed.logprobs))]
    turns.append(Turn(speaker, request.purpose, label))
    return Response(label, usage=weighed.usage, speaker=speaker, transcript=tuple(turns))


def label_probabilities(
    context: Context, asks: Sequence[tuple[int | Member, Request]], labels: Sequence[str]
) -> list[tuple[list[float], Usage]]:
    """(f64[L] probabilities of the labels, usage) per ask, as `weigh` finds them."""
    return [(one.probabilities, one.usage) for one in weigh(context, asks, labels)]
