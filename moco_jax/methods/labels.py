"""Decisions read from log-probabilities instead of generated text."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from moco_jax.decoding.render import at_once
from moco_jax.decoding.scoring import Reading, score_usages
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

    A member that reasons is asked without thinking, since the reply has to come at once.

    Args:
        context: the members and the engine.
        asks: (member, by index in the pool or itself, request).
        labels: the possible replies, the same for all.
    """
    members = [context.pool[who] if isinstance(who, int) else who for who, _ in asks]
    ready = [
        at_once(member, request, context.sampling)
        for member, (_, request) in zip(members, asks, strict=True)
    ]
    fits = [
        _room_for(member, labels) >= len(prompt.tokens[0])
        for member, (_, _, prompt) in zip(members, ready, strict=True)
    ]
    rows = [
        (member, request, label)
        for member, (request, _, _), fit in zip(members, ready, fits, strict=True)
        for label in labels
        if fit
    ]
    found = iter(
        context.engine.score(
            [member for member, _, _ in rows],
            [request for _, request, _ in rows],
            [label for _, _, label in rows],
            dataclasses.replace(context.sampling, thinking=False),
        )
    )
    scores = [list(itertools.islice(found, len(labels))) if fit else [] for fit in fits]
    costs = score_usages(
        Reading(member.config, member.name, request.item, prompt.tokens[0], len(values))
        for member, (request, _, prompt), each in zip(members, ready, scores, strict=True)
        for values in each
    )
    results = []
    for each, fit in zip(scores, fits, strict=True):
        means = tuple(float(sum(values) / len(values)) for values in each)
        usage = sum(itertools.islice(costs, len(each)), Usage())
        results.append(Weighed(means if fit else (0.0,) * len(labels), usage, fit))
    return results


def _room_for(member: Member, labels: Sequence[str]) -> int:
    """Most tokens of a prompt that leave a member room for every label."""
    encoded = (member.tokenizer.encode(label, add_special_tokens=False) for label in labels)
    return member.config.max_positions - max(map(len, encoded))


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
