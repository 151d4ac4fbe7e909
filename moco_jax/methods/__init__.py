"""Methods of collaboration, one file each: members exchange choices, texts, logits or weights."""

from moco_jax.methods.decorators import logit_method, weight_method
from moco_jax.methods.hyperparameters import HyperparameterError
from moco_jax.methods.registry import METHODS, make_method, resolve, spec_of

__all__ = [
    "METHODS",
    "HyperparameterError",
    "logit_method",
    "make_method",
    "resolve",
    "spec_of",
    "weight_method",
]
