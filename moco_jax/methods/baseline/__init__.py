"""What every collaboration is compared with: one member, chosen in several ways."""

from moco_jax.method import Method
from moco_jax.methods.baseline.best_on_dev import BestOnDev
from moco_jax.methods.baseline.random_member import RandomMember
from moco_jax.methods.baseline.self_consistency import SelfConsistency
from moco_jax.methods.baseline.single_model import SingleModel

BASELINE: dict[str, type[Method]] = {
    "best_on_dev": BestOnDev,
    "random_member": RandomMember,
    "self_consistency": SelfConsistency,
    "single_model": SingleModel,
}
