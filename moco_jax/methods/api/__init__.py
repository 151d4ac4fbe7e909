"""Choosing which member answers."""

from moco_jax.method import Method
from moco_jax.methods.api.cascade import Cascade
from moco_jax.methods.api.prompt_routing import PromptRouting

API: dict[str, type[Method]] = {
    "api_cascade": Cascade,
    "api_prompt_routing": PromptRouting,
}
