"""Members whose weights become one model."""

from moco_jax.method import Method
from moco_jax.methods.weight.average import WeightAverage
from moco_jax.methods.weight.breadcrumbs import Breadcrumbs
from moco_jax.methods.weight.dare import Dare
from moco_jax.methods.weight.dare_ties import DareTies
from moco_jax.methods.weight.della import Della
from moco_jax.methods.weight.expo import Expo
from moco_jax.methods.weight.greedy_soup import GreedySoup
from moco_jax.methods.weight.karcher import WeightKarcher
from moco_jax.methods.weight.layerwise import WeightLayerwise
from moco_jax.methods.weight.lorahub import LoraHub
from moco_jax.methods.weight.model_stock import WeightModelStock
from moco_jax.methods.weight.model_swarms import ModelSwarms
from moco_jax.methods.weight.slerp import WeightSlerp
from moco_jax.methods.weight.task_arithmetic import TaskArithmetic
from moco_jax.methods.weight.ties import Ties

WEIGHT: dict[str, type[Method]] = {
    "weight_average": WeightAverage,
    "weight_breadcrumbs": Breadcrumbs,
    "weight_dare": Dare,
    "weight_dare_ties": DareTies,
    "weight_della": Della,
    "weight_expo": Expo,
    "weight_greedy_soup": GreedySoup,
    "weight_karcher": WeightKarcher,
    "weight_layerwise": WeightLayerwise,
    "weight_lorahub": LoraHub,
    "weight_model_stock": WeightModelStock,
    "weight_model_swarms": ModelSwarms,
    "weight_slerp": WeightSlerp,
    "weight_task_arithmetic": TaskArithmetic,
    "weight_ties": Ties,
}
