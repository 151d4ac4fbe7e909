"""Candidates of a search over merges, compared on dev."""

from collections.abc import Sequence

from moco_jax.method import Workbench
from moco_jax.pool import Member
from moco_jax.system import question


def dev_scores_of(bench: Workbench, candidates: Sequence[Member]) -> list[float]:
    """The mean greedy dev score of every candidate; all are asked in one call."""
    items = bench.dev.items
    asks = [(who, question(item, purpose="dev")) for who in candidates for item in items]
    said = bench.ask(asks, bench.sampling.with_greedy())
    rows = [said[start : start + len(items)] for start in range(0, len(said), len(items))]
    return [bench.mean_dev_score(row) for row in rows]
