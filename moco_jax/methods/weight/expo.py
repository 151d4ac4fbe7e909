"""The way from a weaker to a stronger model is continued beyond the stronger one."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from absl import logging

from moco_jax.decoding.keys import digest
from moco_jax.decoding.source import source_digest
from moco_jax.method import Method, Needs, NeedsError, TaskInfo, Workbench
from moco_jax.methods.checks import one_of, within
from moco_jax.methods.weight.greedy_soup import soup
from moco_jax.methods.weight.lineage import one_structure, remarks
from moco_jax.methods.weight.merged import Merged
from moco_jax.methods.weight.search import dev_scores_of
from moco_jax.pool import Member, MemberInfo
from moco_jax.system import System
from moco_jax.trees import weighted_sum

Ends = tuple[Member, Member]
"""Source and target."""


@dataclasses.dataclass(frozen=True)
class Expo(Method):
    """Extrapolates: `target + alpha * (target - source)`.

    Source: ExPO, arXiv 2404.16792, which extrapolates along one training run, from a supervised
    model to its aligned successor (mode="pairs"). Between models tuned apart the direction has no
    such meaning; the modes that rank the pool are the reference's.

    Cost: one generation per item; modes that rank the pool or choose among pairs also need the
    members' dev passes, and alpha_mode="optimized" one greedy dev pass per candidate.

    Departures: float32, greedy dev scores, each tensor once (the reference averages tied embeddings
    wrongly); an optimized alpha may be 0, so that the target stays where nothing beyond it is
    better.

    Attributes:
        mode: source and target are the worst and the best member ("worst_to_best"), the means of
            the k worst and the k best ("topk_bottomk"), or the ends of a given pair ("pairs").
        alpha: how far to go beyond the target.
        alpha_mode: "fixed", or "optimized" to choose from the candidates on dev.
        alpha_candidates: the first of the best is taken.
        allow_zero: alpha 0, the target itself, is the first candidate.
        k: with "topk_bottomk"; at least 1, at most half the pool.
        sft_models: with "pairs", the sources: members, or whatever `Pool.load` takes; null takes
            the pool as source, target, source, target, ...
        dpo_models: with "pairs", their targets, in the same order.
        pair_selection: of several pairs, the one with the best target ("dpo_score"), the largest
            gain ("improvement") or the best source ("sft_score").
    """

    name: ClassVar[str] = "weight_expo"
    needs: ClassVar[Needs] = Needs(members=2, same_architecture=True)

    mode: Literal["worst_to_best", "topk_bottomk", "pairs"] = "worst_to_best"
    alpha: float = 0.3
    alpha_mode: Literal["fixed", "optimized"] = "fixed"
    alpha_candidates: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5)
    allow_zero: bool = True
    k: int = 1
    sft_models: tuple[str, ...] | None = None
    dpo_models: tuple[str, ...] | None = None
    pair_selection: Literal["dpo_score", "improvement", "sft_score"] = "dpo_score"

    def __post_init__(self) -> None:
        one_of(self, "mode", ("worst_to_best", "topk_bottomk", "pairs"))
        one_of(self, "alpha_mode", ("fixed", "optimized"))
        one_of(self, "pair_selection", ("dpo_score", "improvement", "sft_score"))
        within(self, "k", 1)
        if not self.alpha_candidates:
            raise ValueError(f"{self.name}: alpha_candidates is empty; list at least one")
        if len(self.sft_models or ()) != len(self.dpo_models or ()):
            raise ValueError(
                f"{self.name}: sft_models lists {len(self.sft_models or ())} models and dpo_models "
                f"{len(self.dpo_models or ())}; each pair needs one of each"
            )

    def helpers(self) -> dict[str, str]:
        """The ends of the pairs that are named."""
        if self.mode != "pairs":
            return {}
        sources, targets = self.sft_models or (), self.dpo_models or ()
        numbers = [""] if len(sources) == 1 else [f" {place + 1}" for place in range(len(sources))]
        named = zip(numbers, sources, targets, strict=True)
        pairs = [(("source" + number, a), ("target" + number, b)) for number, a, b in named]
        return {role: name for pair in pairs for role, name in pair}

    def check(self, infos: Sequence[MemberInfo], task: TaskInfo) -> None:
        """A pool that is read as pairs has an even number of members."""
        super().check(infos, task)
        if self.mode == "pairs" and not self.sft_models and len(infos) % 2:
            raise NeedsError(
                f"{self.name}: mode='pairs' reads the pool as source, target, source, target, ..., "
                f"and it has {len(infos)} members; drop one, or pass sft_models and dpo_models"
            )

    def fit(self, bench: Workbench) -> System:
        """Finds the two ends and how far to go."""
        (source, target), notes = self._ends(bench)
        alphas = [self.alpha]
        if self.alpha_mode == "optimized":
            alphas = list(
                dict.fromkeys(([0.0] if self.allow_zero else []) + [*self.alpha_candidates])
            )
        best = 0
        if self.alpha_mode == "optimized":
            # One candidate stands in memory at a time; the best is made again
            scores = [
                dev_scores_of(bench, [extrapolate(source, target, alpha)])[0] for alpha in alphas
            ]
            logging.info("%s: alphas %s score %s on dev", self.name, alphas, scores)
            best = scores.index(max(scores))
            notes |= {"alpha_scores": dict(zip(map(str, alphas), scores, strict=True))}
        return Merged.of(
            extrapolate(source, target, alphas[best]),
            method="expo",
            mode=self.mode,
            source_model=source.name,
            target_model=target.name,
            alpha=alphas[best],
            alpha_mode=self.alpha_mode,
            remarks=remarks(self.name, [target, source], None),
            **notes,
        )

    def _ends(self, bench: Workbench) -> tuple[Ends, dict[str, Any]]:
        """Source and target, and what the result says of how they were found."""
        if self.mode == "pairs":
            return self._pair(bench)
        logging.warning(
            "%s: mode=%r extrapolates between members that need not be of one training run; "
            "whether that direction leads anywhere is for the dev score to say",
            self.name,
            self.mode,
        )
        ranking, scores = bench.ranking(), bench.dev_scores()
        count = max(1, min(self.k, len(ranking) // 2)) if self.mode == "topk_bottomk" else 1
        ends = soup(bench.pool, ranking[-count:]), soup(bench.pool, ranking[:count])
        return ends, {"model_scores": dict(zip(bench.pool.names, scores, strict=True))}

    def _pair(self, bench: Workbench) -> tuple[Ends, dict[str, Any]]:
        pairs = self._pairs(bench)
        if len(pairs) == 1:
            return pairs[0], {}
        asked = {member.name: member for pair in pairs for member in pair}
        found = dev_scores_of(bench, list(asked.values()))
        scores = dict(zip(asked, found, strict=True))

        def worth(pair: Ends) -> float:
            source, target = (scores[member.name] for member in pair)
            gains = {"dpo_score": target, "sft_score": source, "improvement": target - source}
            return gains[self.pair_selection]

        return max(pairs, key=worth), {"pair_scores": scores}

    def _pairs(self, bench: Workbench) -> list[Ends]:
        if self.sft_models and self.dpo_models:
            names = zip(self.sft_models, self.dpo_models, strict=True)
            return [(bench.pool.find(a), bench.pool.find(b)) for a, b in names]
        members = list(bench.pool)
        return list(zip(members[::2], members[1::2], strict=True))


def extrapolate(source: Member, target: Member, alpha: float) -> Member:
    """The member `alpha` beyond the target, seen from the source; alpha 0 is the target."""
    if alpha == 0:
        return target
    source, target = one_structure([source, target])
    params = weighted_sum([target.params, source.params], [1 + alpha, -alpha])
    recipe = digest(source_digest(weighted_sum), float(alpha), target.identity, source.identity)
    return target.derive(f"expo({source.name}->{target.name},{alpha:g})", params, recipe)
