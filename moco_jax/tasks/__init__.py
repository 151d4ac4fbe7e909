"""Tasks: questions, what models are asked, and how answers are read and scored."""

from moco_jax.tasks.catalogue import TaskInfo, list_tasks
from moco_jax.tasks.items import Gold, Item, Score, Split
from moco_jax.tasks.judging import ROLES, Case, Judge, Judges
from moco_jax.tasks.leakage import indices_in_texts, leaked_indices
from moco_jax.tasks.loading import load_task
from moco_jax.tasks.scorers import SCORERS
from moco_jax.tasks.scoring import score_items
from moco_jax.tasks.task import Task

__all__ = [
    "ROLES",
    "SCORERS",
    "Case",
    "Gold",
    "Item",
    "Judge",
    "Judges",
    "Score",
    "Split",
    "Task",
    "TaskInfo",
    "indices_in_texts",
    "leaked_indices",
    "list_tasks",
    "load_task",
    "score_items",
]
