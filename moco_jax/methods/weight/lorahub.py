"""Adapters are added up with coefficients that a few dev items choose."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import jax
import numpy as np
from absl import logging

from moco_jax.method import Method, Needs, NeedsError, TaskInfo, Workbench
from moco_jax.methods.checks import one_of, within
from moco_jax.methods.weight.mixtures import Stock
from moco_jax.methods.weight.search import Found, by_evolution, by_swarm, dev_scores_of
from moco_jax.pool import Member, MemberInfo
from moco_jax.system import System, question
from moco_jax.trees import pso


@dataclasses.dataclass(frozen=True)
class LoraHub(Method):
    """Searches, without gradients, the coefficients of a sum of LoRA adapters over one base.

    Source: LoraHub, arXiv 2307.13269.

    Cost: one generation per item; `max_inference_step * lorahub_dev_samples` greedy dev generations
    (with objective="loss" that many scored texts), all candidates of a round at once.

    Departures: prompts have their chat template; the adapters' scales are folded in before they are
    combined, and differing ranks are filled up with zeros; the reference's nevergrad is CMA-ES or a
    particle swarm here, with candidates tried in rounds; test answers are drawn as the run says;
    `seed` is the run's. The paper minimises the loss on the examples' gold answers, the reference
    their score. The score stands here too: a gold is the short answer alone, without the words that
    lead to it, and some tasks have none.

    Attributes:
        lorahub_dev_samples: how many of the first dev items candidates are judged by.
        max_inference_step: candidates that are tried, at most; whole rounds, at least one.
        lora_weight_bound: coefficients lie between it and its negative.
        regular_coef: weight of the mean magnitude of the coefficients, which is taken off.
        objective: "score" of the greedy answers, or "loss": the mean negative log-probability per
            token of the first gold answer, as the whole reply.
        space: "factors" adds up A and B each for itself, as the paper does; "delta" their products.
        optimizer: evolution ("cma_es", arXiv 1604.00772), or particle swarm ("pso"), which comes
            less far with so few candidates.
        population: candidates of a round; the first of all is the base alone.
    """

    name: ClassVar[str] = "weight_lorahub"
    needs: ClassVar[Needs] = Needs(same_architecture=True, adapters=True)

    lorahub_dev_samples: int = 5
    max_inference_step: int = 20
    lora_weight_bound: float = 1.5
    regular_coef: float = 0.05
    objective: Literal["score", "loss"] = "score"
    space: Literal["factors", "delta"] = "factors"
    optimizer: Literal["pso", "cma_es"] = "cma_es"
    population: int = 5

    def __post_init__(self) -> None:
        one_of(self, "objective", ("score", "loss"))
        one_of(self, "space", ("factors", "delta"))
        one_of(self, "optimizer", ("pso", "cma_es"))
        within(self, "lorahub_dev_samples", 1)
        within(self, "max_inference_step", 1)
        within(self, "population", 2)
        within(self, "regular_coef", 0)
        if not self.lora_weight_bound > 0:
            raise ValueError(
                f"{self.name}: lora_weight_bound is {self.lora_weight_bound}; it must be above 0"
            )

    def check(self, infos: Sequence[MemberInfo], task: TaskInfo) -> None:
        """Golds that are to be scored have to be texts."""
        super().check(infos, task)
        if self.objective != "loss":
            return
        count = self.lorahub_dev_samples
        for item, gold in zip(task.dev.items[:count], task.dev.golds[:count], strict=True):
            if not gold.answers or not gold.answers[0].strip():
                raise NeedsError(
                    f"{self.name}: objective='loss' needs a gold answer in words, and {item.id} of "
                    f"kind {item.kind} has none; use objective='score'"
                )

    def fit(self, bench: Workbench) -> System:
        """Finds the coefficients; their sum is the model."""
        names, stock = bench.pool.names, Stock.of(bench.pool)
        label = f"{self.name}({'+'.join(names)})"
        judged = self._judge(bench)

        def worth(points: np.ndarray) -> list[float]:
            found = judged(stock.candidates(label, points, self.space))
            sizes = self.regular_coef * np.abs(points).mean(-1)
            logging.info("%s: coefficients %s are worth %s", self.name, points.tolist(), found)
            return [value - float(size) for value, size in zip(found, sizes, strict=True)]

        found = self._search(worth, len(names), jax.random.key(bench.seed))
        return stock.kept(
            label,
            found.point,
            self.space,
            members=names,
            learned_weights=[float(weight) for weight in found.point],
            objective=self.objective,
            objective_value=found.worth,
            history=list(found.history),
        )

    def _judge(self, bench: Workbench) -> Callable[[Sequence[Member]], list[float]]:
        """What candidates are worth on the first dev items."""
        count = min(self.lorahub_dev_samples, len(bench.dev))
        if self.objective == "score":
            return lambda candidates: dev_scores_of(bench, candidates, count)
        items, golds = bench.dev.items[:count], bench.dev.golds[:count]

        def likelihood(candidates: Sequence[Member]) -> list[float]:
            asks = [(who, question(item, purpose="dev")) for who in candidates for item in items]
            texts = [gold.answers[0] for gold in golds] * len(candidates)
            found = bench.score(asks, texts)
            for (_, request), values in zip(asks, found, strict=True):
                if values is None:
                    raise NeedsError(
                        f"{self.name}: objective='loss' reads {request.item} with its gold answer, "
                        "which exceeds the context of the members; use objective='score'"
                    )
            means = [float(np.mean(values)) for values in found if values is not None]
            return [float(row) for row in np.reshape(means, (-1, count)).mean(-1)]

        return likelihood

    def _search(
        self, worth: Callable[[np.ndarray], list[float]], size: int, key: jax.Array
    ) -> Found:
        """The best coefficients within the bound, the first of all candidates being zero."""
        bound, rounds = self.lora_weight_bound, max(1, self.max_inference_step // self.population)
        if self.optimizer == "cma_es":
            start = [0.0] * size
            return by_evolution(worth, start, bound / 3, self.population, rounds, key, bound)
        started = jax.random.fold_in(key, 0)
        positions, velocities = pso.scatter(started, self.population, size)
        positions = (bound * positions).at[0].set(0.0)
        settings = pso.SwarmSettings(patience=rounds)
        return by_swarm(worth, settings, positions, bound * velocities, rounds, key, bound)
