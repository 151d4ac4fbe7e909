"""What a LoRA adapter is, apart from its factors, and how PEFT spells it on disk."""

import dataclasses
import math
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from moco_jax.models.families import disk_name, text_name

FACTOR_PREFIX = "base_model.model."
EMBEDDING, HEAD = "embed_tokens", "lm_head"
_FACTOR = re.compile(
    r"(.+?)\.lora_(?P<table>embedding_)?(?P<side>[AB])(?:\.(?!weight$)[^.]+)?(?:\.weight)?"
)
_COPY = re.compile(r"(.+?)(?:\.base_layer)?\.weight")
# Settings of PEFT that leave a linear layer's answer at x W + scale x A B. Any other that is set
# changes what the adapter computes, known to us or not.
_HARMLESS = {
    *("alpha_pattern", "auto_mapping", "base_model_name_or_path", "bias", "corda_config"),
    *("ensure_weight_tying", "eva_config", "exclude_modules", "fan_in_fan_out", "inference_mode"),
    *("init_lora_weights", "layers_pattern", "layers_to_transform", "loftq_config", "lora_alpha"),
    *("lora_dropout", "lora_ga_config", "megatron_core", "peft_type", "peft_version"),
    *("qalora_group_size", "r", "rank_pattern", "revision", "runtime_config", "target_modules"),
    *("task_type", "use_rslora"),
}
# The other ways to initialise (pissa, olora, corda, loftq, ...) change the base as well
_PLAIN_INITS = (None, True, False, "gaussian", "eva", "orthogonal")


@dataclasses.dataclass(frozen=True)
class LoraConfig:
    """The static part of an adapter.

    Attributes:
        rank: r, width of the factors.
        alpha: the product of the factors is scaled by alpha / rank.
        targets: last names of the linear layers it changes, or their full names on disk
            ("model.layers.0.self_attn.q_proj").
        use_rslora: scale by alpha / sqrt(rank) (Kalajdzievski, arXiv 2312.03732).
        rank_pattern: (pattern, rank) of layers with a rank of their own; the pattern is a regular
            expression for the end of a full name, as in PEFT.
        alpha_pattern: (pattern, alpha), likewise.
    """

    rank: int = 64
    alpha: float = 16.0
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")
    use_rslora: bool = False
    rank_pattern: tuple[tuple[str, int], ...] = ()
    alpha_pattern: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        ranks = [self.rank, *(rank for _, rank in self.rank_pattern)]
        if min(ranks) < 1:
            raise ValueError(f"a LoRA rank is {min(ranks)}; ranks must be at least 1.")
        if not self.targets:
            raise ValueError("LoraConfig.targets is empty; name the layers to adapt, e.g. q_proj.")

    def rank_of(self, module: str) -> int:
        """Rank at a module ("layers_0/self_attn/q_proj")."""
        return _by_pattern(self.rank_pattern, module_name(module), self.rank)

    def scale(self, module: str) -> float:
        """What the product of the factors is multiplied by at a module."""
        alpha = _by_pattern(self.alpha_pattern, module_name(module), self.alpha)
        rank = self.rank_of(module)
        return alpha / (math.sqrt(rank) if self.use_rslora else rank)


def refuse_variants(raw: Mapping[str, Any], directory: pathlib.Path) -> None:
    """Raises for every kind of adapter but plain LoRA, naming what sets it apart."""
    problems = []
    if raw.get("peft_type") != "LORA":
        problems.append(f"peft_type {raw.get('peft_type')!r}")
    else:
        problems += [f"{key} = {raw[key]!r}" for key in sorted(raw.keys() - _HARMLESS) if raw[key]]
    if raw.get("bias", "none") != "none":
        problems.append(f"bias = {raw['bias']!r}")
    if raw.get("init_lora_weights") not in _PLAIN_INITS:
        problems.append(f"init_lora_weights = {raw['init_lora_weights']!r} (it changes the base)")
    if problems:
        raise ValueError(
            f"the adapter in {directory} is not plain LoRA: {', '.join(problems)}. Merge it into "
            "its base with PEFT's merge_and_unload and use the whole model."
        )


def from_peft(raw: Mapping[str, Any], names: Mapping[str, str]) -> LoraConfig:
    """Reads adapter_config.json; what was chosen by more than last names is spelled out.

    Args:
        raw: its content.
        names: full name by which PEFT knew each adapted module, which its patterns fit.
    """
    targets = raw.get("target_modules") or ()
    selective = any(raw.get(key) for key in ("layers_to_transform", "exclude_modules"))
    deeper = any(name != module_name(module) for module, name in names.items())
    if isinstance(targets, str) or selective or deeper or not targets:
        targets = [module_name(module) for module in names]
    rank, alpha = int(raw.get("r", 8)), float(raw.get("lora_alpha", 8))

    def patterns(key: str, default: float) -> tuple[tuple[str, Any], ...]:
        given = tuple((raw.get(key) or {}).items())
        if not deeper or not given:
            return given
        return tuple(
            (re.escape(module_name(module)), _by_pattern(given, name, default))
            for module, name in names.items()
        )

    return LoraConfig(
        rank=rank,
        alpha=alpha,
        targets=tuple(sorted(targets)),
        use_rslora=bool(raw.get("use_rslora")),
        rank_pattern=patterns("rank_pattern", rank),
        alpha_pattern=patterns("alpha_pattern", alpha),
    )


def to_peft(config: LoraConfig, base: str) -> dict[str, Any]:
    """The content of adapter_config.json; `from_peft` reads it back."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": config.rank,
        "lora_alpha": config.alpha,
        "target_modules": list(config.targets),
        "use_rslora": config.use_rslora,
        "rank_pattern": dict(config.rank_pattern),
        "alpha_pattern": dict(config.alpha_pattern),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "lora_dropout": 0.0,
        "modules_to_save": None,
    }


class FactorName(NamedTuple):
    """What the name of an adapter's tensor says.

    Attributes:
        module: which module it belongs to ("layers_0/self_attn/q_proj").
        side: "a" or "b", or "whole" for a copy of the module's own weight.
        known_as: the module's full name in the model that PEFT adapted.
    """

    module: str
    side: str
    known_as: str


def parse_factor_name(name: str, directory: pathlib.Path) -> FactorName | None:
    """Reads a tensor's name on disk; None where it changes nothing that a text meets.

    Names may carry the adapter's own name ("lora_A.default.weight"), stand one level deeper, as in
    a multimodal model, in either order of the two words, and more than once below PEFT's prefix.
    """
    inner = name
    while inner.startswith(FACTOR_PREFIX):
        inner = inner.removeprefix(FACTOR_PREFIX)
    plain = text_name(inner)
    if plain is None:
        return None
    factor, copy = _FACTOR.fullmatch(plain), _COPY.fullmatch(plain)
    full = (factor or copy or ("", ""))[1]
    module = full.removeprefix("model.").replace("layers.", "layers_", 1).replace(".", "/")
    known_as = inner.removesuffix(plain.removeprefix(full))
    if full and module_name(module) == full:
        if factor and bool(factor["table"]) == (module == EMBEDDING):
            return FactorName(module, factor["side"].lower(), known_as)
        if copy and not factor and module in (EMBEDDING, HEAD):
            return FactorName(module, "whole", known_as)
    raise ValueError(
        f"{directory} holds {name}, which is no factor of a layer we know; only plain LoRA on the "
        "linear layers, embedding and output layer of a causal language model is supported. Merge "
        "it into its base with PEFT's merge_and_unload and use the whole model."
    )


def factor_name(module: str, side: str) -> str:
    """The name on disk of a factor, "a" or "b", of a module."""
    name = f"{FACTOR_PREFIX}{module_name(module)}.lora_"
    if module == EMBEDDING:
        return f"{name}embedding_{side.upper()}"
    return f"{name}{side.upper()}.weight"


def module_name(module: str) -> str:
    """Full name on disk of a module ("layers_0/self_attn/q_proj")."""
    return disk_name((*module.split("/"), "kernel")).removesuffix(".weight")


def _by_pattern(patterns: Sequence[tuple[str, Any]], name: str, default: Any) -> Any:
    """The value of the first pattern that fits the end of a full name."""
    for pattern, value in patterns:
        try:
            fits = re.match(rf"(.*\.)?({pattern})$", name)
        except re.error as error:
            raise ValueError(
                f"{pattern!r} in rank_pattern or alpha_pattern is no regular expression ({error})."
            ) from error
        if fits:
            return value
    return default
