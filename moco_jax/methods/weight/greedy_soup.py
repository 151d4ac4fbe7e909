"""Members are averaged, best first, while the dev score does not fall."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

from absl import logging

from moco_jax.decoding.keys import digest
from moco_jax.decoding.source import source_digest
from moco_jax.method import Method, Needs, Workbench
from moco_jax.methods.weight.lineage import one_structure, remarks
from moco_jax.methods.weight.merged import Merged
from moco_jax.pool import Member, Pool
from moco_jax.system import System
from moco_jax.trees import mean


def soup(pool: Pool, chosen: Sequence[int]) -> Member:
    """The uniform average of some members; a single one is itself."""
    members = one_structure([pool[index] for index in chosen])
    if len(members) == 1:
        return members[0]
    names = [member.name for member in members]
    recipe = digest(source_digest(mean), [member.identity for member in members])
    return members[0].derive(f"soup({'+'.join(names)})", mean([m.params for m in members]), recipe)


@dataclasses.dataclass(frozen=True)
class GreedySoup(Method):
    """Starts from the best member and adds each next one that does not lower the dev score.

    Source: model soups, arXiv 2203.05482, recipe 1.

    Cost: one generation per item; one greedy dev pass per member but the first, and the greedy dev
    pass of every member that all methods share.

    Departures: candidates are compared on greedy answers (the reference samples them, with noise as
    large as what it looks for), averaged in float32, each tensor once (the reference averages tied
    embeddings wrongly). Adapters stand in the pool merged into their base, so they are averaged as
    changes of the weights, not factor by factor.
    """

    name: ClassVar[str] = "weight_greedy_soup"
    needs: ClassVar[Needs] = Needs(members=2, same_architecture=True)

    def fit(self, bench: Workbench) -> System:
        """Tries the members in the order of their dev scores."""
        first, *others = bench.ranking()
        chosen, score = [first], bench.dev_scores()[first]
        tried = [([bench.pool[first].name], score, True)]
        greedy = bench.sampling.with_greedy()
        for index in others:
            candidate = soup(bench.pool, [*chosen, index])
            answers = bench.answer(candidate, bench.dev.items, sampling=greedy, purpose="dev")
            found = bench.mean_dev_score(answers)
            kept = found >= score
            tried.append(([bench.pool[i].name for i in (*chosen, index)], found, kept))
            logging.info("%s: %s scores %.4f on dev, kept: %s", self.name, *tried[-1])
            if kept:
                chosen, score = [*chosen, index], found
        selected = [bench.pool[index].name for index in chosen]
        said = remarks(self.name, [bench.pool[index] for index in chosen], None)
        return Merged.of(
            soup(bench.pool, chosen),
            selected_models=selected,
            dev_score=score,
            candidates=tried,
            remarks=said,
        )
