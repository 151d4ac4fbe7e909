"""What a language model is, read from a Hugging Face config.json."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from moco_jax.models.families import FAMILIES
from moco_jax.models.rope import Rope, rope_from_hf

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "silu": jax.nn.silu,
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "gelu_new": jax.nn.gelu,
    "gelu_pytorch_tanh": jax.nn.gelu,
    "relu": jax.nn.relu,
}
_SYNONYMS = {"swish": "silu", "gelu_fast": "gelu_new"}
# What a multimodal config may say outside its text_config
_OUTER_KEYS = (
    "torch_dtype",
    "dtype",
    "eos_token_id",
    "bos_token_id",
    "pad_token_id",
    "quantization_config",
    "tie_word_embeddings",
)
_EXPERT_KEYS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_intermediate_size")


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The static description of one decoder: hashable, so it can be a static jit argument.

    What is fixed for a whole family (norm placement, fused projections...) is in
    `families.FAMILIES[family]`; here stand the numbers.

    Attributes:
        family: key of `FAMILIES`.
        num_kv_heads: K; left out, every query head has its own.
        head_dim: H; left out, hidden_size // num_heads.
        max_positions: longest sequence the checkpoint is meant for.
        tie_embeddings: the output layer is the embedding; there is no lm_head leaf then.
        activation: one of `ACTIVATIONS`.
        rope: rotary embedding of all layers, or of the full-attention ones if `local_rope` is set.
        local_rope: rotary embedding of the sliding-window layers.
        windows: per layer, how many latest positions a query sees (itself included); None for
            all. Left out: None everywhere.
        query_scale: multiplies q.k; left out, head_dim ** -0.5.
        attention_softcap, final_softcap: c in c * tanh(x / c) on attention and final logits.
        num_labels: 0 for a language model; otherwise the width of a `score` head that stands in
            place of the lm_head (sequence classification, reward models).
    """

    family: str = "llama"
    vocab_size: int = 32_000
    hidden_size: int = 4096
    intermediate_size: int = 11_008
    num_layers: int = 32
    num_heads: int = 32
    num_kv_heads: int = 0
    head_dim: int = 0
    max_positions: int = 2048
    tie_embeddings: bool = False
    norm_eps: float = 1e-6
    activation: str = "silu"
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    rope: Rope = dataclasses.field(default_factory=Rope)
    local_rope: Rope | None = None
    windows: tuple[int | None, ...] = ()
    query_scale: float = 0.0
    attention_softcap: float | None = None
    final_softcap: float | None = None
    num_labels: int = 0

    def __post_init__(self) -> None:
        derived = {
            "num_kv_heads": self.num_kv_heads or self.num_heads,
            "head_dim": self.head_dim or self.hidden_size // self.num_heads,
            "windows": self.windows or (None,) * self.num_layers,
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)
        if not self.query_scale:
            object.__setattr__(self, "query_scale", self.head_dim**-0.5)
        self._validate()

    def _validate(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(f"unknown family {self.family!r}; known: {', '.join(FAMILIES)}.")
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"activation {self.activation!r} is not supported; supported: "
                f"{', '.join(ACTIVATIONS)}."
            )
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"num_heads = {self.num_heads} is not a multiple of num_kv_heads = "
                f"{self.num_kv_heads}; every key-value head must serve equally many query heads."
            )
        if len(self.windows) != self.num_layers:
            raise ValueError(
                f"windows (layer_types) names {len(self.windows)} layers, the model has "
                f"{self.num_layers}; give one entry per layer."
            )
        if self.head_dim % 2:
            raise ValueError(f"head_dim = {self.head_dim} is odd; rotary pairs need it even.")
        rotated = int(self.head_dim * self.rope.rotary_fraction) // 2
        for name in ("short_factor", "long_factor"):
            given = len(getattr(self.rope, name))
            if self.rope.kind == "longrope" and given != rotated:
                raise ValueError(
                    f"longrope's {name} has {given} numbers, the head {rotated} pairs."
                )

    def content(self) -> list[Any]:
        """What sets this architecture apart, as JSON values in an order of their own, for hashes.

        No class or field name is among them, so that renaming one changes no member's identity.
        """
        sizes = [self.vocab_size, self.hidden_size, self.intermediate_size, self.num_layers]
        heads = [self.num_heads, self.num_kv_heads, self.head_dim, self.max_positions]
        biases = [self.qkv_bias, self.output_bias, self.mlp_bias]
        positions = [self.rope.content(), self.local_rope and self.local_rope.content()]
        attention = [self.windows, self.query_scale, self.attention_softcap]
        ends = [self.tie_embeddings, self.final_softcap, self.num_labels]
        function = [self.family, self.activation, self.norm_eps]
        return [function, sizes, heads, biases, positions, attention, ends]

    @classmethod
    def from_hf(cls, raw: Mapping[str, Any]) -> "ModelConfig":
        """Reads a parsed config.json, of transformers 4 or 5 style.

        Raises:
            ValueError: the architecture is unknown, a mixture of experts, or quantized, or a
                setting is not supported; the message says which and what to do.
        """
        raw = text_config(raw)
        _refuse(raw)
        family = raw["model_type"]
        traits = FAMILIES[family]
        said = {key: value for key, value in raw.items() if value is not None}
        get: Callable[..., Any] = {**traits.defaults, **said}.get
        layers, heads = get("num_hidden_layers"), get("num_attention_heads")
        head_dim = get("head_dim") or get("hidden_size") // heads
        attention_bias = bool(get("attention_bias", False)) and family != "qwen2"
        gemma = traits.offset_norm
        return cls(
            family=family,
            vocab_size=get("vocab_size"),
            hidden_size=get("hidden_size"),
            intermediate_size=get("intermediate_size"),
            num_layers=layers,
            num_heads=heads,
            num_kv_heads=get("num_key_value_heads", 0),
            head_dim=head_dim,
            max_positions=get("max_position_embeddings"),
            tie_embeddings=bool(get("tie_word_embeddings")),
            norm_eps=float(get("rms_norm_eps")),
            activation=_activation(get("hidden_activation" if gemma else "hidden_act")),
            qkv_bias=traits.qkv_bias or attention_bias,
            output_bias=attention_bias,
            mlp_bias=bool(get("mlp_bias", False)) and family == "llama",
            rope=_rope(raw, family, "full_attention"),
            local_rope=_rope(raw, family, "sliding_attention") if family == "gemma3_text" else None,
            windows=_windows(raw, family, layers),
            query_scale=float(get("query_pre_attn_scalar") if gemma else head_dim) ** -0.5,
            attention_softcap=_softcap(raw, family, "attn_logit_softcapping"),
            final_softcap=_softcap(raw, family, "final_logit_softcapping"),
            num_labels=_num_labels(raw),
        )


_SHAPING = (
    ("model family", "family"),
    ("vocab_size", "vocab_size"),
    ("hidden_size", "hidden_size"),
    ("intermediate_size", "intermediate_size"),
    ("num_hidden_layers", "num_layers"),
    ("num_attention_heads", "num_heads"),
    ("num_key_value_heads", "num_kv_heads"),
    ("head_dim", "head_dim"),
    ("bias of q, k and v", "qkv_bias"),
    ("bias of the attention's output", "output_bias"),
    ("bias of the MLP", "mlp_bias"),
    ("num_labels", "num_labels"),
)
"""What shapes a model's tensors, by its name for users. Whether embeddings are tied does not: a
tied model is an untied one whose two tensors are equal."""
_VOCABULARY = (
    " Tokens were added to one of them, or its rows padded: resize both to one vocabulary first "
    "(resize_token_embeddings of transformers), or merge models that were not extended."
)


class Mismatch(NamedTuple):
    """A setting by which the tensors of two models differ, with a remedy if there is one."""

    setting: str
    ours: Any
    theirs: Any
    remedy: str = ""


def shape_mismatch(first: ModelConfig, other: ModelConfig) -> Mismatch | None:
    """Why the tensors of two models cannot be combined, or None where they can."""
    for said, name in _SHAPING:
        ours, theirs = getattr(first, name), getattr(other, name)
        if ours != theirs:
            return Mismatch(said, ours, theirs, _VOCABULARY if name == "vocab_size" else "")
    return None


def other_settings(first: ModelConfig, other: ModelConfig) -> list[str]:
    """Settings that shape no tensor and differ between two models, by their names."""
    shaping = {name for _, name in _SHAPING} | {"tie_embeddings"}
    names = [field.name for field in dataclasses.fields(first) if field.name not in shaping]
    return [name for name in names if getattr(first, name) != getattr(other, name)]


def text_config(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The language-model part of a config; of anything but multimodal Gemma 3, a plain copy."""
    if raw.get("model_type") != "gemma3":
        return dict(raw)
    if "text_config" not in raw:
        raise ValueError(
            "config.json has model_type 'gemma3' (multimodal) but no text_config; restore the "
            "original config.json, or use model_type 'gemma3_text' for a text-only checkpoint."
        )
    kept = {key: raw[key] for key in _OUTER_KEYS if key in raw}
    fixed = {"model_type": "gemma3_text", "architectures": ["Gemma3ForCausalLM"]}
    return {**kept, **raw["text_config"], **fixed}


def _refuse(raw: Mapping[str, Any]) -> None:
    """Raises for what cannot be loaded, naming it."""
    supported = f"Supported model types: {', '.join([*FAMILIES, 'gemma3'])}."
    kind = raw.get("model_type")
    if raw.get("quantization_config"):
        method = raw["quantization_config"].get("quant_method", "unnamed")
        raise ValueError(
            f"the checkpoint is quantized ({method}, see quantization_config in config.json); "
            "only f32, bf16 and f16 weights are supported. Use the unquantized checkpoint it was "
            "made from."
        )
    experts = [key for key in _EXPERT_KEYS if raw.get(key)]
    if experts or "moe" in str(kind) or kind == "mixtral":
        raise ValueError(
            f"model_type {kind!r} is a mixture of experts ({', '.join(experts) or 'by name'}), "
            f"which is not supported; use a dense checkpoint. {supported}"
        )
    if kind not in FAMILIES:
        raise ValueError(
            f"unknown architecture: model_type {kind!r} (architectures "
            f"{raw.get('architectures')}) in config.json. {supported} Use a member of one of "
            "these families."
        )
    stem = FAMILIES[kind].stem
    names = [f"{stem}ForCausalLM", f"{stem}ForSequenceClassification"]
    names += [name.replace("Gemma3", "Gemma3Text") for name in names if stem == "Gemma3"]
    for architecture in raw.get("architectures") or names[:1]:
        if architecture not in names:
            raise ValueError(
                f"architecture {architecture!r} of model_type {kind!r} is not supported; "
                f"supported are {', '.join(names)}."
            )
    if raw.get("use_bidirectional_attention"):
        raise ValueError(
            "use_bidirectional_attention is set: this is an embedding model, not a causal "
            "language model; use a causal checkpoint."
        )


def _activation(name: str) -> str:
    return _SYNONYMS.get(name, name)


def _softcap(raw: Mapping[str, Any], family: str, key: str) -> float | None:
    """A cap that config.json may switch off with null; only Gemma has them."""
    # Gemma 3's config has an attention cap too, but its attention never applies it
    used = FAMILIES[family].offset_norm and (family, key[:4]) != ("gemma3_text", "attn")
    value = raw.get(key, FAMILIES[family].defaults.get(key))
    return float(value) if used and value else None


def _num_labels(raw: Mapping[str, Any]) -> int:
    architecture = (raw.get("architectures") or [""])[0]
    if not architecture.endswith("ForSequenceClassification"):
        return 0
    # transformers leaves two labels unsaid: it is the default
    return len(raw.get("id2label") or ()) or raw.get("num_labels") or 2


def _windows(raw: Mapping[str, Any], family: str, layers: int) -> tuple[int | None, ...]:
    """The sliding window of each layer."""
    defaults = FAMILIES[family].defaults
    window = raw.get("sliding_window", defaults.get("sliding_window"))
    if family in ("llama", "olmo2") or not window:
        return (None,) * layers
    if family in ("mistral", "phi3"):
        return (window,) * layers
    if family in ("qwen2", "qwen3") and not raw.get("use_sliding_window"):
        return (None,) * layers
    kinds = raw.get("layer_types")
    if kinds is None and family in ("qwen2", "qwen3"):
        first = raw.get("max_window_layers", defaults["max_window_layers"])
        return tuple(window if layer >= first else None for layer in range(layers))
    if kinds is None:
        key = "sliding_window_pattern"
        period = raw.get(key) or raw.get(f"_{key}") or defaults[key]
        return tuple(window if (layer + 1) % period else None for layer in range(layers))
    unknown = sorted(set(kinds) - {"sliding_attention", "full_attention"})
    if unknown:
        raise ValueError(
            f"layer_types names {', '.join(unknown)}; only sliding_attention and full_attention "
            "are supported. Use a checkpoint with these."
        )
    return tuple(window if kind == "sliding_attention" else None for kind in kinds)


def _rope(raw: Mapping[str, Any], family: str, layer_type: str) -> Rope:
    """The rotary settings of one kind of layer.

    transformers 4 writes `rope_theta` and `rope_scaling` (and `rope_local_base_freq` for Gemma 3),
    transformers 5 one `rope_parameters`, nested by layer type for Gemma 3.
    """
    defaults = FAMILIES[family].defaults
    parameters = dict(raw.get("rope_parameters") or {})
    nested = layer_type in parameters
    if nested:
        parameters = dict(parameters[layer_type] or {})
    local = family == "gemma3_text" and layer_type == "sliding_attention"
    if not local:
        parameters |= raw.get("rope_scaling") or {}
    elif not nested:
        parameters = {}
    theta_key = "rope_local_base_freq" if local else "rope_theta"
    theta = raw.get(theta_key) or defaults[theta_key]
    # Phi-3 keeps the trained length beside the scaling, and there it has the last word
    trained = "original_max_position_embeddings"
    if raw.get(trained) or defaults.get(trained):
        parameters[trained] = raw.get(trained) or defaults[trained]
    fraction = parameters.get("partial_rotary_factor") or raw.get("partial_rotary_factor") or 1.0
    if family == "phi3":
        parameters["partial_rotary_factor"] = fraction
        if parameters.get("rope_type", parameters.get("type")) in ("su", "yarn"):
            parameters |= {"rope_type": "longrope"}
    elif fraction != 1.0:
        raise ValueError(
            f"partial_rotary_factor = {fraction} is supported for phi3 only, not for {family}; "
            "check config.json against the original checkpoint."
        )
    positions = raw.get("max_position_embeddings") or defaults["max_position_embeddings"]
    return rope_from_hf(parameters, theta, positions)
