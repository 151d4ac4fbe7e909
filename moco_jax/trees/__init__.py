"""Pure functions over parameter trees: arithmetic, merging leaf by leaf, particle swarms."""

from moco_jax.trees import pso
from moco_jax.trees.arithmetic import mean, weighted_sum
from moco_jax.trees.merge import Merge, merge_leaf, merge_trees

__all__ = [
    "Merge",
    "mean",
    "merge_leaf",
    "merge_trees",
    "pso",
    "weighted_sum",
]
