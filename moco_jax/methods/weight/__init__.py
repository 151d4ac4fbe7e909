"""Members whose weights become one model."""

from moco_jax.method import Method
from moco_jax.methods.weight.greedy_soup import GreedySoup

WEIGHT: dict[str, type[Method]] = {
    "weight_greedy_soup": GreedySoup,
}
