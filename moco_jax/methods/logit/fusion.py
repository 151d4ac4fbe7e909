"""The system of members that write one text with fixed weights."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from moco_jax.decoding.combine import (
    WEIGHTED_LOGITS,
    WEIGHTED_LOGPROBS,
    WEIGHTED_PROBS,
    Combine,
    Plausibility,
    plausible,
)
from moco_jax.decoding.types import Response
from moco_jax.system import Context, System, question
from moco_jax.tasks import Item

SPACES: dict[str, Combine] = {
    "logit": WEIGHTED_LOGITS,
    "logprob": WEIGHTED_LOGPROBS,
    "prob": WEIGHTED_PROBS,
}


@dataclasses.dataclass(frozen=True)
class Fusion(System):
    """Members write together; one whose weight is 0 does not run, unless it judges.

    Attributes:
        weights: one per member of the pool.
        space: what is added up: "logit", "logprob" or "prob".
        dev_score: mean dev score of these weights, where they were searched for.
        judge: index of the member that says what is plausible, with `alpha`.
        alpha: a token that the judge finds less likely than this share of its favourite is never
            written; 0 cuts nothing.
        notes: (name, JSON value) pairs about how the weights were found; tuples for lists.
    """

    weights: tuple[float, ...]
    space: str = "logit"
    dev_score: float | None = None
    judge: int = 0
    alpha: float = 0.0
    notes: tuple[tuple[str, Any], ...] = ()

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """One joint answer per item."""
        judge = self.judge if self.alpha > 0 else None
        who = [i for i, weight in enumerate(self.weights) if weight != 0 or i == judge]
        own = np.array([self.weights[index] for index in who], np.float32)
        theta: Any = np.tile(own, (len(items), 1))
        combine = SPACES[self.space]
        if judge is not None:
            seats = np.full(len(items), who.index(judge), np.int32)
            theta = Plausibility(theta, seats, np.full(len(items), self.alpha, np.float32))
            combine = plausible(combine)
        said = context.join(who, [question(item) for item in items], combine, theta)
        notes = [("weights", self.weights), *self.notes]
        shown = tuple((name, _lists(value)) for name, value in notes)
        return [response.replace(notes=shown) for response in said]


def _lists(value: Any) -> Any:
    """Tuples as the lists that they are in JSON."""
    return [_lists(part) for part in value] if isinstance(value, tuple) else value
