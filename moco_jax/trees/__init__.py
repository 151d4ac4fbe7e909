"""Pure functions over parameter trees: arithmetic, merging leaf by leaf, particle swarms."""

from moco_jax.trees import pso
from moco_jax.trees.arithmetic import mean, weighted_sum
from moco_jax.trees.layerwise import Layerwise
from moco_jax.trees.merge import Merge, leaf_key, merge_leaf, merge_trees
from moco_jax.trees.model_stock import ModelStock
from moco_jax.trees.spherical import Karcher, Slerp
from moco_jax.trees.task_vectors import TASK_VECTOR_MERGES, Average, Linear, TaskVectorMerge
from moco_jax.trees.tiled import TiledMerge

__all__ = [
    "TASK_VECTOR_MERGES",
    "Average",
    "Karcher",
    "Layerwise",
    "Linear",
    "Merge",
    "ModelStock",
    "Slerp",
    "TaskVectorMerge",
    "TiledMerge",
    "leaf_key",
    "mean",
    "merge_leaf",
    "merge_trees",
    "pso",
    "weighted_sum",
]
