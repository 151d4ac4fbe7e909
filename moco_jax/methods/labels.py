"""Decisions read from log-probabilities instead of generated text."""

import itertools
from collections.abc import Sequence

import numpy as np

from moco_jax.decoding.scoring import score_usage
from moco_jax.decoding.types import Request, Usage
from moco_jax.system import Context


def label_probabilities(
    context: Context, asks: Sequence[tuple[int, Request]], labels: Sequence[str]
) -> list[tuple[list[float], Usage]]:
    """How likely a member's reply is each of a few labels, and what it cost to find out.

    Labels of several tokens are compared by their mean log-probability per token; the
    probabilities sum to 1 over the labels.

    Args:
        context: the members and the engine.
        asks: (member index, request).
        labels: the possible replies, the same for all.

    Returns:
        (f64[L] probabilities, usage) per ask.
    """
    rows = [(ask, label) for ask in asks for label in labels]
    found = iter(context.score([ask for ask, _ in rows], [label for _, label in rows]))
    results = []
    for who, request in asks:
        member = context.pool[who]
        prompt = len(member.template.render(request.messages, request.prefix))
        scores = list(itertools.islice(found, len(labels)))
        means = np.array([sum(values) / len(values) for values in scores])
        shares = np.exp(means - means.max())
        costs = [
            score_usage(member.config, prompt, len(values), read=number > 0)
            for number, values in enumerate(scores)
        ]
        usage = sum(costs, Usage())
        results.append(((shares / shares.sum()).tolist(), usage))
    return results
