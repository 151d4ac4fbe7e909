"""Members that exchange texts."""

from moco_jax.method import Method
from moco_jax.methods.text.bbmas import Bbmas
from moco_jax.methods.text.heterogeneous_swarms import HeterogeneousSwarms
from moco_jax.methods.text.knowledge_card import KnowledgeCard
from moco_jax.methods.text.llm_blender import LlmBlender
from moco_jax.methods.text.majority_vote import MajorityVote
from moco_jax.methods.text.moa import Moa
from moco_jax.methods.text.multiagent_feedback import MultiagentFeedback
from moco_jax.methods.text.multiagent_refine import MultiagentRefine
from moco_jax.methods.text.slm_mux import SlmMux
from moco_jax.methods.text.structure import Structure

TEXT: dict[str, type[Method]] = {
    "text_bbmas": Bbmas,
    "text_heterogeneous_swarms": HeterogeneousSwarms,
    "text_knowledge_card": KnowledgeCard,
    "text_llm_blender": LlmBlender,
    "text_majority_vote": MajorityVote,
    "text_moa": Moa,
    "text_multiagent_feedback": MultiagentFeedback,
    "text_multiagent_refine": MultiagentRefine,
    "text_slm_mux": SlmMux,
    "text_structure": Structure,
}
