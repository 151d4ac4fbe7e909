"""Choosing which member answers, or which writes the next words."""

from moco_jax.method import Method
from moco_jax.methods.api.cascade import Cascade
from moco_jax.methods.api.mentor_collab import MentorCollab
from moco_jax.methods.api.nudging import Nudging
from moco_jax.methods.api.prompt_routing import PromptRouting
from moco_jax.methods.api.switch_generation import SwitchGeneration

API: dict[str, type[Method]] = {
    "api_cascade": Cascade,
    "api_mentor_collab": MentorCollab,
    "api_nudging": Nudging,
    "api_prompt_routing": PromptRouting,
    "api_switch_generation": SwitchGeneration,
}
