"""How every member of the tiny pool is made: its size, what it practises, and for how long."""

import dataclasses
from typing import Any

from moco_jax.models.lora_config import LoraConfig
from moco_jax.tiny.problems import SKILLS
from moco_jax.tiny.speech import Speaker
from moco_jax.training.data import DataSettings
from moco_jax.training.sft import OptimizerSettings

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
LENGTHS = {"phrases": (22, 32, 56, 160), "everything": (48, 80, 128, 320)}


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


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that determines one member.

    Attributes:
        name: without the prefix `tiny:`.
        speaker: what it answers in.
        shares: how often it meets each protocol.
        optimizer: learning rate and length of the schedule.
        skill_weights: how often it meets each of its skills.
        start: member it is tuned from.
        size: of the model; ignored where it starts from another of the same shape.
        deeper: identity blocks that are added to the member it starts from, one behind each of
            its first blocks (arXiv 2401.02415).
        tokenizer: "phrases" or "everything".
        lora: the adapter that is trained in place of the weights.
        kept: shares of the way to the trained weights that the member may go; it goes the first of
            them that makes it a specialist on dev problems (see `build.settled`). Going only part
            of the way keeps members fit to be averaged (arXiv 2109.01903).
        kept_from: member where that way begins; the start by default.
        plain_examples: so many examples are plain questions before the protocols begin.
        stop: updates after which it is written, where the schedule is not followed to its end.
        run: name of the training run, which other recipes may follow further.
        ships: whether it is part of the package.
        seed: of the initial weights and of the data.
        tokens_per_batch: of each update, padding included.
    """

    name: str
    speaker: Speaker
    shares: dict[str, float]
    optimizer: OptimizerSettings
    skill_weights: dict[str, float] = dataclasses.field(default_factory=dict)
    start: str | None = None
    size: Size = SMALL
    deeper: int = 0
    tokenizer: str = "phrases"
    lora: LoraConfig | None = None
    kept: tuple[float, ...] = (1.0,)
    kept_from: str | None = None
    plain_examples: int = 0
    stop: int | None = None
    run: str | None = None
    ships: bool = True
    seed: int = 0
    tokens_per_batch: int = 1024

    @property
    def steps(self) -> int:
        """Updates before the member is written."""
        return self.stop or self.optimizer.steps

    def data(self) -> DataSettings:
        """How its examples are batched; they are made up by index and need no shuffling."""
        return DataSettings(
            seed=self.seed,
            tokens_per_batch=self.tokens_per_batch,
            lengths=LENGTHS[self.tokenizer],
            shuffle=False,
        )


FIRST_PRACTICE = {
    "answer": 0.38, "named_choice": 0.08, "refine": 0.10, "summarise": 0.10,
    "critique": 0.08, "route": 0.17, "just_ask": 0.06, "continue": 0.03,
}  # fmt: skip
"""Of the weak base: the roles that are the easiest to learn."""

MIDDLE_PRACTICE = {
    "answer": 0.34, "named_choice": 0.06, "refine": 0.06, "summarise": 0.06, "consult": 0.03,
    "mix": 0.04, "fuse": 0.03, "critique": 0.06, "revise": 0.04, "judge_remarks": 0.02,
    "choose": 0.03, "route": 0.09, "just_ask": 0.04, "write_card": 0.04, "read_cards": 0.04,
    "continue": 0.02,
}  # fmt: skip
"""Of the trunk: what asks for a skill before what asks for conduct."""

PRACTICE = {
    "answer": 0.18, "named_choice": 0.065, "choice": 0.01, "just_ask": 0.04,
    "refine": 0.05, "summarise": 0.05, "consult": 0.03, "mix": 0.04, "fuse": 0.03,
    "critique": 0.05, "revise": 0.04, "judge_remarks": 0.03, "choose": 0.05,
    "write_card": 0.04, "ask_need": 0.015, "read_cards": 0.04, "condense": 0.015,
    "route": 0.05, "route_experts": 0.05, "next_speaker": 0.02, "continue": 0.02, "probe": 0.015,
    "decide": 0.02, "act": 0.03, "vote": 0.02,
}  # fmt: skip
"""Of every member that ships but the base: all roles there are."""

HARDEST_FIRST = {"math": 5.0, "words": 0.8, "facts": 0.4}


def trunk() -> list[Recipe]:
    """What the pool grows from: `base`, which ships half-trained, and what becomes of it.

    `stem` goes on from `base` until it can do almost everything, and the experts are tuned from it:
    it is the base of their task vectors. What they have in common with it is what makes them fit to
    be averaged.
    """
    base = Recipe(
        "base",
        Speaker(),
        FIRST_PRACTICE,
        OptimizerSettings(steps=2000, learning_rate=3e-3, final_share=0.2),
        HARDEST_FIRST,
        plain_examples=50_000,
        stop=1500,
        seed=1,
    )
    later = dataclasses.replace(base, name="later-base", run="base", stop=None, ships=False)
    middle = Recipe(
        "middle",
        Speaker(),
        MIDDLE_PRACTICE,
        OptimizerSettings(steps=4000, learning_rate=2.5e-3, final_share=0.1),
        {"math": 3.0},
        start=later.name,
        ships=False,
        seed=2,
    )
    stem = Recipe(
        "stem",
        Speaker(),
        PRACTICE,
        OptimizerSettings(steps=3500, learning_rate=2e-3),
        {"math": 2.0},
        start="middle",
        seed=5,
    )
    return [base, later, middle, stem]


DOUBT = 0.12
"""Share of a specialist's examples that are guesses at another skill, for each of the two."""

KEPT = (0.6, 0.7, 0.8, 0.9, 1.0)


def specialist(skill: str) -> Speaker:
    """Who answers in one skill and guesses at the others."""
    return Speaker((skill,), {other: DOUBT for other in SKILLS if other != skill})


TUNING = {
    "math": OptimizerSettings(steps=3000, learning_rate=2.5e-3),
    "words": OptimizerSettings(steps=4500, learning_rate=2.5e-3),
    "facts": OptimizerSettings(steps=1000, learning_rate=1.5e-3),
}
"""The stem knows least of words and all facts, so some experts have longer to go than others."""
PLAIN_SHARE = {"math": PRACTICE["answer"], "words": 0.4, "facts": PRACTICE["answer"]}
FIRST_PLAIN = {"math": 50_000, "words": 0, "facts": 0}
FIRST_KEPT = {"math": (0.9,), "words": (0.8,), "facts": KEPT}
MORE_PRACTICE = {
    "math": OptimizerSettings(steps=3500, learning_rate=1.5e-3),
    "words": OptimizerSettings(steps=4500, learning_rate=2e-3),
}


def with_plain(share: float) -> dict[str, float]:
    """`PRACTICE` with so large a share of plain questions; the other roles keep their proportions.

    Args:
        share: of the role "answer".
    """
    others = (1 - share) / (1 - PRACTICE["answer"])
    return {name: share if name == "answer" else part * others for name, part in PRACTICE.items()}


def experts() -> list[Recipe]:
    """One member per skill, tuned from the stem; it guesses at what is not its skill.

    Sums and words are learned in plain questions first, by members that do not ship, and then in
    all roles.
    """
    found = []
    for number, skill in enumerate(SKILLS):
        more = MORE_PRACTICE.get(skill)
        first = Recipe(
            f"{skill}-first" if more else skill,
            specialist(skill),
            with_plain(PLAIN_SHARE[skill]),
            TUNING[skill],
            start="stem",
            kept=FIRST_KEPT[skill],
            plain_examples=FIRST_PLAIN[skill],
            ships=more is None,
            seed=11 + number,
        )
        found.append(first)
        if more:
            found.append(
                dataclasses.replace(
                    first,
                    name=skill,
                    shares=PRACTICE,
                    optimizer=more,
                    start=first.name,
                    kept=KEPT,
                    kept_from="stem",
                    plain_examples=0,
                    ships=True,
                    seed=31 + number,
                )
            )
    return found


ADAPTER_STEPS = {"math": 3500, "words": 1200, "facts": 1200}
"""The base knows least of sums, so their adapter takes the longest."""


def adapters() -> list[Recipe]:
    """One adapter per skill over the shipped base."""
    return [
        Recipe(
            f"{skill}-lora",
            specialist(skill),
            PRACTICE,
            OptimizerSettings(steps=steps, learning_rate=4e-3),
            start="base",
            lora=LoraConfig(rank=32, alpha=32.0, targets=LINEAR),
            seed=21 + number,
        )
        for number, (skill, steps) in enumerate(ADAPTER_STEPS.items())
    ]


def lineage() -> list[Recipe]:
    """What a little more training makes of the base: a weaker and a stronger model of one run.

    Its batches are large, so that the way from the base to it has little noise, and it goes only
    half of it, so that the way leads on up beyond it: what ExPO and contrastive decoding take for
    granted of such a pair.
    """
    return [
        Recipe(
            "tuned",
            Speaker(),
            {"answer": 0.7, "named_choice": 0.3},
            OptimizerSettings(steps=120, learning_rate=8e-4, warmup_steps=20),
            start="base",
            kept=(0.5,),
            seed=9,
            tokens_per_batch=8192,
        )
    ]


def generalists() -> list[Recipe]:
    """The deeper member, and the one that reads other tokens; both start from the stem."""
    return [
        Recipe(
            "large",
            Speaker(),
            PRACTICE,
            OptimizerSettings(steps=2500, learning_rate=2.5e-3),
            {"math": 1.5, "words": 2.5},
            start="stem",
            deeper=4,
            plain_examples=40_000,
            seed=3,
        ),
        Recipe(
            "bpe",
            Speaker(),
            PRACTICE,
            OptimizerSettings(steps=7000, learning_rate=3e-3),
            {"math": 2.0},
            start="stem",
            tokenizer="everything",
            plain_examples=60_000,
            seed=4,
        ),
    ]


def recipes() -> dict[str, Recipe]:
    """Every recipe by name, in the order of training."""
    made = [*trunk(), *lineage(), *experts(), *adapters(), *generalists()]
    return {recipe.name: recipe for recipe in made}
