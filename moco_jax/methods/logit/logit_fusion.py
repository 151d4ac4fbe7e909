"""The next token is drawn from a weighted average of all members' predictions."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from moco_jax.method import Method, Needs, NeedsError, TaskInfo, Workbench
from moco_jax.methods.checks import one_of, within
from moco_jax.methods.logit.fusion import SPACES, Fusion
from moco_jax.pool import MemberInfo
from moco_jax.system import System, question
from moco_jax.trees import pso


@dataclasses.dataclass(frozen=True)
class LogitFusion(Method):
    """Averages the members' next-token predictions and draws from the result.

    Source: none cited by the reference; averaging logits is, up to normalisation, the geometric
    mean of the distributions (a product of experts).

    Cost: one generation per item, in which every member takes part whose weight is not 0; with
    mode="optimized" `population * max_iterations` such generations of all members per dev item.

    Departures: attention is masked, special tokens are not doubled, top-p holds, and any member's
    end token ends the answer; vocabularies that one tokenizer pads differently are cut to what they
    share. Each member reads the question in its own chat template. The reference names
    mode="optimized" without having it; `weights`, `space`, `population` and `max_iterations` are
    additions.

    Attributes:
        mode: "average" weighs all members alike; "optimized" searches non-negative weights that sum
            to 1 by particle swarm on the greedy dev score.
        weights: one per member, instead of the same for all; they need not sum to 1, and below 0
            push away (not with space="prob").
        space: what is averaged: "logit", "logprob" or "prob" (a mixture). A member's normaliser
            shifts all tokens alike, so "logprob" draws as "logit" does (up to rounding) unless
            there is a repetition penalty, which tells positive logits from negative ones.
        population: particles of the search, the uniform average among them.
        max_iterations: rounds of the search; it ends earlier when five in a row bring nothing.
    """

    name: ClassVar[str] = "logit_logit_fusion"
    needs: ClassVar[Needs] = Needs(members=2, same_vocabulary=True)

    mode: Literal["average", "optimized"] = "average"
    weights: tuple[float, ...] | None = None
    space: Literal["logit", "logprob", "prob"] = "logit"
    population: int = 5
    max_iterations: int = 5

    def __post_init__(self) -> None:
        one_of(self, "mode", ("average", "optimized"))
        one_of(self, "space", tuple(SPACES))
        within(self, "population", 2)
        within(self, "max_iterations", 1)
        if self.weights is not None:
            self._check_weights(self.weights)

    def _check_weights(self, weights: tuple[float, ...]) -> None:
        wrong = f"{self.name}: weights is {list(weights)!r}"
        if self.mode == "optimized":
            raise ValueError(f'{wrong} and mode "optimized", which searches them; give one of both')
        if not any(weights):
            raise ValueError(f"{wrong}; at least one must not be 0")
        if self.space == "prob" and min(weights) < 0:
            raise ValueError(f'{wrong}; with space "prob" none may be below 0')

    def check(self, infos: Sequence[MemberInfo], task: TaskInfo) -> None:
        """Each member takes one weight."""
        super().check(infos, task)
        if self.weights is not None and len(self.weights) != len(infos):
            raise NeedsError(
                f"{self.name}: weights is {list(self.weights)!r}; the pool has {len(infos)} "
                "members, and each takes one"
            )

    def fit(self, bench: Workbench) -> System:
        """Searches the weights on dev, where asked to."""
        size = len(bench.pool)
        if self.mode == "average":
            return Fusion(self.weights or (1.0 / size,) * size, self.space)
        settings = pso.SwarmSettings()
        key = jax.random.fold_in(jax.random.key(bench.seed), 0)
        positions, velocities = pso.scatter(key, self.population, size)
        swarm = pso.start(settings, positions.at[0].set(1.0 / size), velocities)
        for step in range(self.max_iterations):
            weights = np.asarray(pso.simplex(swarm.positions))
            scores = self._dev_scores(bench, weights)
            logging.info("%s: weights %s score %s on dev", self.name, weights.tolist(), scores)
            key = jax.random.fold_in(jax.random.key(bench.seed), step + 1)
            swarm = pso.update(settings, swarm, jnp.array(scores), key)
            if pso.stopped(settings, swarm):
                break
        leader = tuple(np.asarray(pso.simplex(swarm.leader)).tolist())
        return Fusion(leader, self.space, float(swarm.leader_score))

    def _dev_scores(self, bench: Workbench, weights: np.ndarray) -> list[float]:
        """Mean dev score of each row of weights f32[P, M]; all rows and items in one batch."""
        items = bench.dev.items
        said = bench.join(
            range(len(bench.pool)),
            [question(item, purpose="dev") for _ in weights for item in items],
            SPACES[self.space],
            np.repeat(weights, len(items), axis=0),
            bench.sampling.with_greedy(),
        )
        rows = [said[i : i + len(items)] for i in range(0, len(said), len(items))]
        return [bench.mean_dev_score(row) for row in rows]
