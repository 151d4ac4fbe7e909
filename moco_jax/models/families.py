"""The supported families: what sets each apart, and the names of its tensors on disk.

A parameter lives at the path its checkpoint name spells, without the leading `model`; a layer is
`layers_<i>`; the last word says what the leaf is: `kernel` ([out, in]), `bias`, `scale` (of a norm)
or `embedding`. Every leaf has the shape it has on disk.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moco_jax.models.config import ModelConfig

Path = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Family:
    """What is fixed for every checkpoint of a family.

    Attributes:
        stem: first part of the Hugging Face class names ("Llama" of "LlamaForCausalLM").
        norms: "pre" (before each block), "post" (after it, inside the residual branch) or "both".
        offset_norm: norms multiply by (1 + scale) and their scale starts at 0.
        qk_norm: "none", "head" (over each head) or "full" (over the whole projection).
        fused: q, k, v are one tensor, and so are gate and up.
        scaled_embedding: embeddings are multiplied by sqrt(hidden_size).
        qkv_bias: True where q, k, v always have a bias; else the config's attention_bias decides.
        defaults: values of config keys where config.json leaves them out.
    """

    stem: str
    norms: str = "pre"
    offset_norm: bool = False
    qk_norm: str = "none"
    fused: bool = False
    scaled_embedding: bool = False
    qkv_bias: bool = False
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def _defaults(vocab: int, inner: int, positions: int, **others: Any) -> dict[str, Any]:
    """The config keys every family has, with the sizes most of them default to."""
    common = {
        "vocab_size": vocab,
        "hidden_size": 4096,
        "intermediate_size": inner,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "max_position_embeddings": positions,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10_000.0,
        "tie_word_embeddings": False,
        "hidden_act": "silu",
    }
    return common | others


_GEMMA = {
    "hidden_size": 2304,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
    "tie_word_embeddings": True,
}

FAMILIES: dict[str, Family] = {
    "llama": Family("Llama", defaults=_defaults(32_000, 11_008, 2048)),
    "mistral": Family(
        "Mistral",
        defaults=_defaults(32_000, 14_336, 131_072, num_key_value_heads=8, sliding_window=4096),
    ),
    "qwen2": Family(
        "Qwen2",
        qkv_bias=True,
        defaults=_defaults(151_936, 22_016, 32_768, sliding_window=4096, max_window_layers=28),
    ),
    "qwen3": Family(
        "Qwen3",
        qk_norm="head",
        defaults=_defaults(
            151_936, 22_016, 32_768, head_dim=128, sliding_window=4096, max_window_layers=28
        ),
    ),
    "gemma2": Family(
        "Gemma2",
        norms="both",
        offset_norm=True,
        scaled_embedding=True,
        defaults=_defaults(256_000, 9216, 8192, **_GEMMA)
        | {"sliding_window_pattern": 2, "attn_logit_softcapping": 50.0}
        | {"final_logit_softcapping": 30.0},
    ),
    "gemma3_text": Family(
        "Gemma3",
        norms="both",
        offset_norm=True,
        qk_norm="head",
        scaled_embedding=True,
        defaults=_defaults(262_208, 9216, 131_072, **_GEMMA)
        | {"sliding_window_pattern": 6, "rope_theta": 1_000_000.0, "rope_local_base_freq": 1e4},
    ),
    "phi3": Family(
        "Phi3",
        fused=True,
        defaults=_defaults(32_064, 8192, 4096, rms_norm_eps=1e-5)
        | {"hidden_size": 3072, "original_max_position_embeddings": 4096},
    ),
    "olmo2": Family(
        "Olmo2",
        norms="post",
        qk_norm="full",
        defaults=_defaults(50_304, 11_008, 2048, rms_norm_eps=1e-5),
    ),
}


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """One parameter: its path in our tree, its shape, and its name on disk."""

    path: Path
    shape: tuple[int, ...]
    name: str


def tensor_table(config: "ModelConfig") -> tuple[TensorSpec, ...]:
    """Every parameter of a model, in the order of its layers."""
    d, vocab = config.hidden_size, config.vocab_size
    leaves: list[tuple[Path, tuple[int, ...]]] = [(("embed_tokens", "embedding"), (vocab, d))]
    for layer in range(config.num_layers):
        leaves += [((f"layers_{layer}", *path), shape) for path, shape in _layer(config)]
    leaves.append((("norm", "scale"), (d,)))
    if config.num_labels:
        leaves.append((("score", "kernel"), (config.num_labels, d)))
    elif not config.tie_embeddings:
        leaves.append((("lm_head", "kernel"), (vocab, d)))
    return tuple(TensorSpec(path, shape, disk_name(path)) for path, shape in leaves)


def is_linear(spec: TensorSpec) -> bool:
    """Whether a tensor is the kernel of a layer's linear map; the output layer is none."""
    return spec.path[-1] == "kernel" and spec.path[0] not in ("lm_head", "score")


def disk_name(path: Path) -> str:
    """The Hugging Face name of the leaf at `path`."""
    *modules, leaf = path
    first = modules[0].replace("layers_", "layers.")
    root = [] if first in ("lm_head", "score") else ["model"]
    return ".".join([*root, first, *modules[1:], "bias" if leaf == "bias" else "weight"])


# A multimodal model keeps its language model one level deeper; the order of the two words changed
_TEXT_PREFIXES = ("language_model.", "model.language_model.")
_NOT_TEXT = ("vision_tower.", "vision_model.", "multi_modal_projector.")


def text_name(name: str) -> str | None:
    """A tensor's name on disk as a text-only model has it; None if the language model has none.

    Text-only names are given back as they are.
    """
    if name.removeprefix("model.").startswith(_NOT_TEXT):
        return None
    for prefix in _TEXT_PREFIXES:
        if name.startswith(prefix):
            rest = name.removeprefix(prefix)
            return rest if rest.startswith(("model.", "lm_head.")) else f"model.{rest}"
    return name


def _layer(config: "ModelConfig") -> Iterator[tuple[Path, tuple[int, ...]]]:
    """Paths within a layer, and shapes."""
    family, d = FAMILIES[config.family], config.hidden_size
    q, kv = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
    inner = config.intermediate_size
    linears = {"q_proj": (q, d), "k_proj": (kv, d), "v_proj": (kv, d)}
    if family.fused:
        linears = {"qkv_proj": (q + 2 * kv, d)}
    for name, shape in linears.items():
        yield from _linear(("self_attn", name), shape, config.qkv_bias)
    yield from _linear(("self_attn", "o_proj"), (d, q), config.output_bias)
    if family.qk_norm != "none":
        widths = {"head": (config.head_dim, config.head_dim), "full": (q, kv)}[family.qk_norm]
        yield ("self_attn", "q_norm", "scale"), (widths[0],)
        yield ("self_attn", "k_norm", "scale"), (widths[1],)
    linears = {"gate_proj": (inner, d), "up_proj": (inner, d)}
    if family.fused:
        linears = {"gate_up_proj": (2 * inner, d)}
    for name, shape in {**linears, "down_proj": (d, inner)}.items():
        yield from _linear(("mlp", name), shape, config.mlp_bias)
    for norm in NORM_NAMES[family.norms]:
        if norm is not None:
            yield (norm, "scale"), (d,)


def _linear(
    path: Path, shape: tuple[int, int], bias: bool
) -> Iterator[tuple[Path, tuple[int, ...]]]:
    yield (*path, "kernel"), shape
    if bias:
        yield (*path, "bias"), shape[:1]


# Names of the norms before attention, after it, before the MLP, after it, per placement. The
# name "post_attention_layernorm" means two different places, as it does in the checkpoints.
NORM_NAMES: dict[str, tuple[str | None, str | None, str | None, str | None]] = {
    "pre": ("input_layernorm", None, "post_attention_layernorm", None),
    "post": (None, "post_attention_layernorm", None, "post_feedforward_layernorm"),
    "both": (
        "input_layernorm",
        "post_attention_layernorm",
        "pre_feedforward_layernorm",
        "post_feedforward_layernorm",
    ),
}
