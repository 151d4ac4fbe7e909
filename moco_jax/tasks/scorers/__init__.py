"""How answers are read and judged: one scorer per kind of task."""

import difflib

from moco_jax.tasks.scorers import (
    coding,
    exact_match,
    f1_match,
    gene_ranking,
    general_verifier,
    generation_diversity,
    ifeval,
    kernel_bench,
    multiple_choice,
    noncompliance,
    reward_model,
    smdd,
)
from moco_jax.tasks.scorers.base import Scorer

SCORERS: dict[str, Scorer] = {
    "kernel_bench": kernel_bench.SCORER,
    "coding": coding.SCORER,
    "multiple_choice": multiple_choice.SCORER,
    "exact_match": exact_match.SCORER,
    "f1_match": f1_match.SCORER,
    "gene_ranking": gene_ranking.SCORER,
    "general_verifier": general_verifier.SCORER,
    "generation_diversity": generation_diversity.SCORER,
    "ifeval": ifeval.SCORER,
    "noncompliance": noncompliance.SCORER,
    "reward_model": reward_model.SCORER,
    "text_generation": reward_model.SCORER,
    "smdd": smdd.SCORER,
}


def scorer_for(kind: str) -> Scorer:
    """The scorer of a kind; a ValueError names the kinds there are."""
    if kind not in SCORERS:
        nearest = difflib.get_close_matches(kind, SCORERS, n=1)
        offer = f"did you mean {nearest[0]!r}? The" if nearest else "the"
        raise ValueError(
            f"tasks of kind {kind!r} cannot be scored; {offer} kinds that can are "
            f"{', '.join(sorted(SCORERS))}"
        )
    return SCORERS[kind]
