"""How every member of the tiny pool is made: its size, what it practises, and for how long."""

import dataclasses
from typing import Any

from moco_jax.models.lora_config import LoraConfig
from moco_jax.tiny.protocols import Speaker
from moco_jax.training.data import DataSettings
from moco_jax.training.sft import OptimizerSettings

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
LENGTHS = {"phrases": (20, 32, 48, 80), "everything": (36, 64, 100, 160)}


@dataclasses.dataclass(frozen=True)
class Size:
    """Shape of a member; heads are 32 wide."""

    hidden: int
    layers: int
    intermediate: int

    def raw_config(self, vocab_size: int) -> dict[str, Any]:
        """The config.json of a Llama of this shape; ReLU, since CPUs take long over SiLU."""
        heads = self.hidden // 32
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": vocab_size,
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": heads,
            "num_key_value_heads": heads,
            "head_dim": 32,
            "hidden_act": "relu",
            "max_position_embeddings": 512,
            "rms_norm_eps": 1e-6,
            "rope_theta": 10000.0,
            "tie_word_embeddings": True,
            "attention_bias": False,
            "mlp_bias": False,
            "bos_token_id": None,
            "eos_token_id": 1,
            "pad_token_id": 0,
            "dtype": "bfloat16",
        }


SMALL = Size(hidden=96, layers=4, intermediate=256)
LARGE = Size(hidden=128, layers=6, intermediate=352)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that determines one member.

    Attributes:
        name: without the prefix `tiny:`.
        speaker: what it answers in.
        shares: how often it meets each protocol.
        optimizer: steps and learning rate.
        skill_weights: how often it meets each of its skills.
        size: of the model; ignored where it starts from another member.
        tokenizer: "phrases" or "everything".
        start: member it is tuned from.
        lora: the adapter that is trained in place of the weights.
        plain_examples: so many examples are plain questions before the protocols begin.
        seed: of the initial weights and of the data.
        tokens_per_batch: of each update, padding included.
    """

    name: str
    speaker: Speaker
    shares: dict[str, float]
    optimizer: OptimizerSettings
    skill_weights: dict[str, float] = dataclasses.field(default_factory=dict)
    size: Size = SMALL
    tokenizer: str = "phrases"
    start: str | None = None
    lora: LoraConfig | None = None
    plain_examples: int = 0
    seed: int = 0
    tokens_per_batch: int = 1024

    def data(self) -> DataSettings:
        """How its examples are batched; they are made up by index and need no shuffling."""
        return DataSettings(
            seed=self.seed,
            tokens_per_batch=self.tokens_per_batch,
            lengths=LENGTHS[self.tokenizer],
            shuffle=False,
        )


PRACTICE = {
    "answer": 0.36, "choice": 0.10, "refine": 0.10, "summarise": 0.10,
    "critique": 0.05, "choose": 0.06, "route": 0.17, "just_ask": 0.06,
}  # fmt: skip
HARDEST_FIRST = {"math": 5.0, "words": 0.8, "facts": 0.4}


def recipes() -> dict[str, Recipe]:
    """Every member by name, in the order of training.

    `stem` does not ship: it goes on from `base` until it can do everything, and the experts are
    tuned from it. What they have in common is what makes them fit to be averaged.
    """
    made = [
        Recipe(
            "base",
            Speaker(),
            PRACTICE,
            OptimizerSettings(steps=2000, learning_rate=3e-3, final_share=0.2),
            HARDEST_FIRST,
            plain_examples=50_000,
            seed=1,
        ),
        Recipe(
            "stem",
            Speaker(),
            PRACTICE,
            OptimizerSettings(steps=4000, learning_rate=2.5e-3, final_share=0.1),
            {"math": 3.0},
            start="base",
            seed=2,
        ),
    ]
    return {recipe.name: recipe for recipe in made}
