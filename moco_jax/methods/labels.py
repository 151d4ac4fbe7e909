"""Decisions read from log-probabilities instead of generated text."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from moco_jax.decoding.render import render
from moco_jax.decoding.scoring import score_usage
from moco_jax.decoding.types import Request, Response, Turn, Usage
from moco_jax.pool import Member
from moco_jax.system import Context


@dataclasses.dataclass(frozen=True)
class Weighed:
    """What a member thinks of a few labels as its reply.

    Attributes:
        logprobs: per label, its mean log-probability per token, so that labels of several tokens
            can be compared; all 0 if it was not asked.
        usage: what it cost to find out.
        fits: whether the prompt stood within the member's context; one that does not is not asked.
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

    Args:
        context: the members and the engine.
        asks: (member, by index in the pool or itself, request).
        labels: the possible replies, the same for all.
    """
    members = [context.pool[who] if isinstance(who, int) else who for who, _ in asks]
    pairs = list(zip(members, [request for _, request in asks], strict=True))
    prompts = [render((member,), request, context.sampling) for member, request in pairs]
    rows = [
        (member, request, label)
        for (member, request), prompt in zip(pairs, prompts, strict=True)
        for label in labels
        if prompt.fits
    ]
    found = iter(
        context.engine.score(
            [member for member, _, _ in rows],
            [request for _, request, _ in rows],
            [label for _, _, label in rows],
            context.sampling,
        )
    )
    results = []
    for member, prompt in zip(members, prompts, strict=True):
        if not prompt.fits:
            results.append(Weighed((0.0,) * len(labels), Usage(), fits=False))
            continue
        scores = list(itertools.islice(found, len(labels)))
        costs = [
            score_usage(member.config, len(prompt.tokens[0]), len(values), read=number > 0)
            for number, values in enumerate(scores)
        ]
        means = tuple(float(sum(values) / len(values)) for values in scores)
        results.append(Weighed(means, sum(costs, Usage())))
    return results


def as_reply(
    context: Context, ask: tuple[int | Member, Request], weighed: Weighed, labels: Sequence[str]
) -> Response:
    """The likeliest label as if the member had written it; empty if it was not asked."""
    who, request = ask
    speaker = (context.pool[who] if isinstance(who, int) else who).name
    turns = [Turn("user", request.purpose, request.messages[-1].content)]
    if not weighed.fits:
        return Response("", finish="prompt_too_long", speaker=speaker, transcript=tuple(turns))
    label = labels[int(np.argmax(weighed.logprobs))]
    turns.append(Turn(speaker, request.purpose, label))
    return Response(label, usage=weighed.usage, speaker=speaker, transcript=tuple(turns))


def label_probabilities(
    context: Context, asks: Sequence[tuple[int | Member, Request]], labels: Sequence[str]
) -> list[tuple[list[float], Usage]]:
    """(f64[L] probabilities of the labels, usage) per ask, as `weigh` finds them."""
    return [(one.probabilities, one.usage) for one in weigh(context, asks, labels)]
