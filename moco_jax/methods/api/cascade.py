"""Members answer in turn, cheapest first, until one is sure enough."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from moco_jax.decoding.types import Request, Response, total_usage
from moco_jax.method import Method, Needs, Workbench
from moco_jax.methods import prompts
from moco_jax.methods.checks import one_of, within
from moco_jax.system import Context, System, about, question
from moco_jax.tasks import Item

NEVER = 1.0
"""A threshold that no confidence reaches: mean log-probabilities are at most 0."""


@dataclasses.dataclass(frozen=True)
class Levels(System):
    """One member per level; an item goes on until one accepts its own answer.

    Attributes:
        mode: "logit" or "just_ask".
        thresholds: mean log-probability from which each member but the last accepts its answer.
    """

    mode: str
    thresholds: tuple[float, ...] = ()

    def respond(self, items: Sequence[Item], context: Context) -> list[Response]:
        """The first accepted answer to every item; a member without items left is not run."""
        said: list[list[Response]] = [[] for _ in items]
        waiting = list(range(len(items)))
        for level in range(len(context.pool)):
            if not waiting:
                break
            asks = [(level, self._request(level, items[i], context)) for i in waiting]
            for index, response in zip(waiting, context.ask(asks), strict=True):
                said[index].append(response)
            last = level == len(context.pool) - 1
            waiting = [i for i in waiting if not (last or self._accepts(level, said[i][-1]))]
        return [_final(responses) for responses in said]

    def _request(self, level: int, item: Item, context: Context) -> Request:
        if self.mode == "just_ask" and level < len(context.pool) - 1:
            return about(item, prompts.just_ask(item.prompt))
        return question(item)

    def _accepts(self, level: int, response: Response) -> bool:
        if self.mode == "just_ask":
            return bool(response.text.strip()) and prompts.UNCONFIDENT not in response.text.lower()
        return confidence(response) >= self.thresholds[level]


def confidence(response: Response) -> float:
    """Mean log-probability of all that was written; -inf where that holds no answer."""
    return response.mean_logprob if response.text.strip() else -np.inf


def _final(said: Sequence[Response]) -> Response:
    # A response without tokens has no mean, and JSON no infinity
    confidences = [r.mean_logprob if r.logprobs else None for r in said]
    return said[-1].replace(
        usage=total_usage(said),
        transcript=tuple(turn for response in said for turn in response.transcript),
        notes=(
            ("chosen", said[-1].speaker),
            ("level", len(said) - 1),
            ("confidences", confidences),
        ),
    )


def quantile_threshold(confidences: Sequence[float], percentage: float) -> float:
    """The quantile below which answers are deferred (linear interpolation); NEVER without any."""
    finite = [value for value in confidences if np.isfinite(value)]
    return float(np.quantile(finite, percentage)) if finite else NEVER


@dataclasses.dataclass(frozen=True)
class Trial:
    """What every level would say on dev. L levels, D items.

    Attributes:
        confidences: f64[L, D] mean log-probabilities.
        values: f64[L, D] scores.
        costs: f64[L, D] of asking a level alone, in units of the last level's mean.
    """

    confidences: np.ndarray
    values: np.ndarray
    costs: np.ndarray

    def judge(self, thresholds: Sequence[float], cost_weight: float) -> tuple[float, float]:
        """(mean score less the weighted mean cost, minus the mean cost) of a cascade."""
        accepts = self.confidences >= np.array([*thresholds, -np.inf])[:, None]
        level = accepts.argmax(0)
        item = np.arange(len(level))
        cost = float(self.costs.cumsum(0)[level, item].mean())
        return float(self.values[level, item].mean()) - cost_weight * cost, -cost

    def optimise(self, thresholds: Sequence[float], cost_weight: float) -> tuple[float, ...]:
        """Improves one threshold after another until none helps; the cheaper wins a tie."""
        best = tuple(thresholds)
        worth = self.judge(best, cost_weight)
        improved = True
        while improved:
            improved = False
            for level in range(len(best)):
                found = self.confidences[level]
                for value in (*sorted({*found[np.isfinite(found)].tolist()}), NEVER):
                    tried = (*best[:level], value, *best[level + 1 :])
                    judged = self.judge(tried, cost_weight)
                    if judged > worth:
                        best, worth, improved = tried, judged, True
        return best


@dataclasses.dataclass(frozen=True)
class Cascade(Method):
    """Members answer in pool order, weak to strong; an answer held too lightly goes to the next.

    Source: FrugalGPT, arXiv 2305.05176; language model cascades, arXiv 2404.10136.

    Cost: from one generation per item to one per member, as items are deferred; in mode "logit" one
    dev pass of every member but the last (of all members with threshold="optimized"), drawn as
    answers are.

    Departures: confidence is the mean log-probability at temperature 1 of all that the member
    wrote, thoughts included, and an empty answer is never accepted (the reference takes the largest
    of five filtered scores, mostly exactly 1, and counts padding). Each member has its own
    threshold, and a threshold of 0 is one.

    Attributes:
        mode: "logit": a member accepts its answer from a threshold of confidence on; "just_ask": it
            is asked to say `unconfident` where it is not sure.
        percentage: share of a member's answers that is deferred, by the quantile of its dev
            confidences.
        threshold: "quantile" defers that share; "optimized" starts there and moves the thresholds
            to where the dev score, less the weighted cost, is highest.
        cost_weight: dev score that the cost of asking the last member is worth, for "optimized".
    """

    name: ClassVar[str] = "api_cascade"
    needs: ClassVar[Needs] = Needs(members=2)

    mode: Literal["logit", "just_ask"] = "logit"
    percentage: float = 0.5
    threshold: Literal["quantile", "optimized"] = "quantile"
    cost_weight: float = 0.0

    def __post_init__(self) -> None:
        one_of(self, "mode", ("logit", "just_ask"))
        within(self, "percentage", 0, 1)
        one_of(self, "threshold", ("quantile", "optimized"))
        within(self, "cost_weight", 0)

    def fit(self, bench: Workbench) -> System:
        """Sets every member's threshold on dev; nothing in mode "just_ask"."""
        if self.mode == "just_ask":
            return Levels(self.mode)
        asked = len(bench.pool) - (self.threshold == "quantile")
        said = [
            bench.answer(level, bench.dev.items, purpose="dev confidence") for level in range(asked)
        ]
        confidences = [[confidence(response) for response in row] for row in said]
        thresholds = tuple(
            quantile_threshold(row, self.percentage) for row in confidences[: len(bench.pool) - 1]
        )
        if self.threshold == "optimized":
            costs = np.array([[response.usage.flops for response in row] for row in said])
            trial = Trial(
                confidences=np.array(confidences),
                values=np.array([[s.value for s in bench.score_dev(row)] for row in said]),
                costs=costs / max(costs[-1].mean(), 1.0),
            )
            thresholds = trial.optimise(thresholds, self.cost_weight)
        return Levels(self.mode, thresholds)
