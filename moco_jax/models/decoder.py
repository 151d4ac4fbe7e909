"""The decoder: one Flax Linen module for every supported family, and the pure functions around it.

B rows, S new tokens, C cache slots, N query heads, K key-value heads, H dimensions of a head.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from moco_jax.kernels import low_rank
from moco_jax.models.attention import (
    attend,
    causal_mask,
    softcapped,
    write_keys,
    write_values,
)
from moco_jax.models.config import ACTIVATIONS, ModelConfig
from moco_jax.models.families import FAMILIES, NORM_NAMES, tensor_table
from moco_jax.models.linear import linear
from moco_jax.models.partition import per_head
from moco_jax.models.rope import rotary_tables, rotate

Params = dict[str, Any]
Bank = dict[str, Any]
KVCache = tuple[tuple[jax.Array, jax.Array], ...]

_INIT = nn.initializers.normal(0.02)


def forward(
    config: ModelConfig,
    params: Params,
    tokens: jax.Array,
    positions: jax.Array,
    cache: KVCache | None = None,
    bank: Bank | None = None,
) -> tuple[jax.Array, KVCache | None]:
    """Runs the decoder up to its last norm.

    Without a cache the keys are the S tokens themselves. With one, the slot of a token is its
    position: the new keys and values are written there and queries look at all slots up to their
    own position. So rewinding a row or padding it on the right needs no bookkeeping, and prefill
    may come in pieces of any size. A position beyond the cache is not written.

    Args:
        config: the model; static under jit.
        params: its parameters.
        tokens: i32[B, S].
        positions: i32[B, S], absolute; negative marks padding, which is neither written nor seen.
            The hidden states of padding mean nothing.
        cache: from `init_cache`; donate it to have it updated in place.
        bank: LoRA factors of several adapters over `params`, a tree like it whose linear layers
            and embedding hold "a" [N, in, r], "b" [N, r, out] and, unless the rows are N equal
            shares in order, "rows" i32[B]; see `moco_jax.kernels.low_rank`.

    Returns:
        hidden states [B, S, D] in the dtype of the params, and the updated cache.
    """
    variables = {"params": params} | ({} if bank is None else {"bank": bank})
    out: Any = Decoder(config).apply(variables, tokens, positions, cache)
    return out


def unembed(
    config: ModelConfig, params: Params, hidden: jax.Array, bank: Bank | None = None
) -> jax.Array:
    """Logits f32[..., V] of hidden states [..., D], the final soft cap included.

    Args:
        config: the model.
        params: its parameters.
        hidden: from `forward`; with a bank [B, S, D] or [B, D], B rows as there.
        bank: the bank of `forward`, which may adapt the output layer too.

    Raises:
        ValueError: the model has a classification head in place of an output layer.
    """
    if config.num_labels:
        raise ValueError(
            "this checkpoint is a sequence classifier and has no language-model head; use it as a "
            "reward model, or load the ForCausalLM checkpoint to get logits."
        )
    tied = config.tie_embeddings
    table = params["embed_tokens"]["embedding"] if tied else params["lm_head"]["kernel"]
    logits = linear(hidden, table)
    if bank is not None and "lm_head" in bank:
        head = bank["lm_head"]
        wide = hidden.reshape(len(hidden), -1, hidden.shape[-1])
        own = low_rank(wide, head["a"], head["b"], head.get("rows"))
        logits = logits + own.astype(logits.dtype).reshape(logits.shape)
    return softcapped(logits, config.final_softcap)


def untied(params: Params) -> Params:
    """Params with an output layer of their own, which is the embedding where they had none."""
    if "lm_head" in params:
        return params
    return {**params, "lm_head": {"kernel": params["embed_tokens"]["embedding"]}}


def init_cache(
    config: ModelConfig, batch: int, length: int, dtype: jnp.dtype = jnp.float32
) -> KVCache:
    """An empty cache: for each layer keys [B, K, H, C] and values [B, K, C, H]."""
    heads = batch, config.num_kv_heads
    keys, values = (*heads, config.head_dim, length), (*heads, length, config.head_dim)
    return tuple(
        (jnp.zeros(keys, dtype), jnp.zeros(values, dtype)) for _ in range(config.num_layers)
    )


def init_params(config: ModelConfig, key: jax.Array, dtype: jnp.dtype = jnp.float32) -> Params:
    """Fresh parameters for training from scratch: N(0, 0.02^2) weights, identity norms, no bias."""
    params: Params = {}
    table = tensor_table(config)
    for spec, leaf_key in zip(table, jax.random.split(key, len(table)), strict=True):
        kind = spec.path[-1]
        if kind in ("kernel", "embedding"):
            leaf = _INIT(leaf_key, spec.shape, dtype)
        elif kind == "scale" and not FAMILIES[config.family].offset_norm:
            leaf = jnp.ones(spec.shape, dtype)
        else:
            leaf = jnp.zeros(spec.shape, dtype)
        set_leaf(params, spec.path, leaf)
    return params


def set_leaf(params: Params, path: tuple[str, ...], leaf: Any) -> None:
    """Puts a leaf at its path, making the dicts on the way."""
    *parents, last = path
    for name in parents:
        params = params.setdefault(name, {})
    params[last] = leaf


class Decoder(nn.Module):
    """Embedding, layers and last norm; see `forward`."""

    config: ModelConfig

    @nn.compact
    def __call__(
        self, tokens: jax.Array, positions: jax.Array, cache: KVCache | None = None
    ) -> tuple[jax.Array, KVCache | None]:
        """Maps tokens i32[B, S] to hidden states [B, S, D] and the updated cache."""
        config = self.config
        hidden = Embedding(config, name="embed_tokens")(tokens)
        context = _Context(config, positions, cache)
        updated: list[Any] = []
        for layer in range(config.num_layers):
            slots = None if cache is None else cache[layer]
            hidden, slots = Layer(config, layer, name=f"layers_{layer}")(hidden, context, slots)
            updated.append(slots)
        hidden = Norm(config, name="norm")(hidden)
        return hidden, None if cache is None else tuple(updated)


class _Context:
    """What all layers share: masks and rotary tables, each made once."""

    def __init__(self, config: ModelConfig, positions: jax.Array, cache: KVCache | None) -> None:
        self.positions = positions
        keys = positions
        if cache is not None:
            capacity = cache[0][0].shape[3]
            keys = jnp.arange(capacity, dtype=positions.dtype)[None]
            self.slots = jnp.where(positions < 0, capacity, positions)
        lengths = positions.max(axis=1) + 1
        self.masks = {w: causal_mask(positions, keys, w) for w in set(config.windows)}
        self.query_rotary, self.key_rotary = {}, {}
        for rope in {config.rope, config.local_rope or config.rope}:
            tables = rotary_tables(rope, config.head_dim, positions, lengths)
            self.query_rotary[rope] = self.key_rotary[rope] = tables
            if cache is not None and rope.switches:
                self.key_rotary[rope] = rotary_tables(rope, config.head_dim, keys, lengths)


class Layer(nn.Module):
    """Attention and MLP, each in a residual branch, with norms where the family has them."""

    config: ModelConfig
    layer: int

    @nn.compact
    def __call__(
        self, hidden: jax.Array, context: _Context, slots: tuple[jax.Array, jax.Array] | None
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array] | None]:
        """Maps hidden [B, S, D] to the same shape, and updates this layer's cache."""
        config = self.config
        before_attention, after_attention, before_mlp, after_mlp = NORM_NAMES[
            FAMILIES[config.family].norms
        ]

        def norm(x: jax.Array, name: str | None) -> jax.Array:
            return x if name is None else Norm(config, name=name)(x)

        attention = Attention(config, self.layer, name="self_attn")
        branch, slots = attention(norm(hidden, before_attention), context, slots)
        hidden = hidden + norm(branch, after_attention)
        branch = MLP(config, name="mlp")(norm(hidden, before_mlp))
        return hidden + norm(branch, after_mlp), slots


class Attention(nn.Module):
    """Causal attention with grouped key-value heads, rotary positions and a window."""

    config: ModelConfig
    layer: int

    @nn.compact
    def __call__(
        self, x: jax.Array, context: _Context, slots: tuple[jax.Array, jax.Array] | None
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array] | None]:
        """Maps x [B, S, D] to [B, S, D]; writes keys and values into `slots` if there are any."""
        config = self.config
        window = config.windows[self.layer]
        rope = config.rope if window is None else config.local_rope or config.rope
        query, key, value = self._project(x)
        query = rotate(query, *context.query_rotary[rope]).swapaxes(1, 2)
        # A switch of frequencies would leave stale keys behind, so models that may switch cache
        # their keys unrotated and turn them when they are read
        late = slots is not None and rope.switches
        if not late:
            key = rotate(key, *context.query_rotary[rope])
        key, value = key.swapaxes(1, 2), value.swapaxes(1, 2)
        if slots is None:
            key = key.swapaxes(2, 3)
        else:
            key = per_head(write_keys, slots[0], context.slots, key)
            value = per_head(write_values, slots[1], context.slots, value)
            slots = key, value
        if late:
            turned = rotate(jnp.moveaxis(key, 3, 1), *context.key_rotary[rope])
            key = jnp.moveaxis(turned, 1, 3)
        attention = functools.partial(
            attend, scale=config.query_scale, softcap=config.attention_softcap
        )
        out = per_head(attention, query, key, value, context.masks[window])
        out = out.swapaxes(1, 2).reshape(*x.shape[:2], -1)
        return Linear(config.hidden_size, config.output_bias, name="o_proj")(out), slots

    def _project(self, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Queries [B, S, N, H], keys and values [B, S, K, H], normed where the family does."""
        config = self.config
        family = FAMILIES[config.family]
        q_width, kv_width = (
            config.num_heads * config.head_dim,
            config.num_kv_heads * config.head_dim,
        )
        if family.fused:
            fused = Linear(q_width + 2 * kv_width, config.qkv_bias, name="qkv_proj")(x)
            query, key, value = jnp.split(fused, [q_width, q_width + kv_width], axis=-1)
        else:
            query = Linear(q_width, config.qkv_bias, name="q_proj")(x)
            key = Linear(kv_width, config.qkv_bias, name="k_proj")(x)
            value = Linear(kv_width, config.qkv_bias, name="v_proj")(x)
        if family.qk_norm == "full":
            query, key = Norm(config, name="q_norm")(query), Norm(config, name="k_norm")(key)
        query, key, value = (
            part.reshape(*x.shape[:2], -1, config.head_dim) for part in (query, key, value)
        )
        if family.qk_norm == "head":
            query, key = Norm(config, name="q_norm")(query), Norm(config, name="k_norm")(key)
        return query, key, value


class MLP(nn.Module):
    """The gated feed-forward block."""

    config: ModelConfig

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, S, D] to [B, S, D]."""
        config = self.config
        if FAMILIES[config.family].fused:
            width = 2 * config.intermediate_size
            gate, up = jnp.split(Linear(width, config.mlp_bias, name="gate_up_proj")(x), 2, axis=-1)
        else:
            gate = Linear(config.intermediate_size, config.mlp_bias, name="gate_proj")(x)
            up = Linear(config.intermediate_size, config.mlp_bias, name="up_proj")(x)
        inner = ACTIVATIONS[config.activation](gate) * up
        return Linear(config.hidden_size, config.mlp_bias, name="down_proj")(inner)


class Linear(nn.Module):
    """x @ kernel.T + bias, in the dtype of the params; with a bank, each row's own x A B besides.

    In place of "kernel" [out, in] the params may hold what `quantize` made of it: "kernel_int8"
    with "kernel_scale" [out].
    """

    features: int
    use_bias: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [B, S, in] to [B, S, features]."""
        y = self._product(x)
        if self.use_bias:
            y = y + self.param("bias", nn.initializers.zeros, (self.features,))
        if self.has_variable("bank", "a"):
            a: jax.Array = self.get_variable("bank", "a")
            b: jax.Array = self.get_variable("bank", "b")
            y = y + low_rank(x, a, b, self.get_variable("bank", "rows"))
        return y

    def _product(self, x: jax.Array) -> jax.Array:
        if self.has_variable("params", "kernel_int8"):
            small: jax.Array = self.get_variable("params", "kernel_int8")
            scale: jax.Array = self.get_variable("params", "kernel_scale")
            return linear(x, small.astype(x.dtype)).astype(x.dtype) * scale.astype(x.dtype)
        kernel: jax.Array = self.param("kernel", _INIT, (self.features, x.shape[-1]))
        return linear(x, kernel).astype(x.dtype)


class Norm(nn.Module):
    """RMS norm over the last axis, computed in f32 (Zhang and Sennrich, arXiv 1910.07467)."""

    config: ModelConfig

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps x [..., D] to the same shape and dtype."""
        offset = FAMILIES[self.config.family].offset_norm
        init = nn.initializers.zeros if offset else nn.initializers.ones
        scale = self.param("scale", init, (x.shape[-1],)).astype(jnp.float32) + float(offset)
        wide = x.astype(jnp.float32)
        variance = jnp.mean(wide * wide, axis=-1, keepdims=True)
        return (wide * jax.lax.rsqrt(variance + self.config.norm_eps) * scale).astype(x.dtype)


class Embedding(nn.Module):
    """Token embeddings, scaled where the family does; with a bank, each row's own change too."""

    config: ModelConfig

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Maps tokens i32[B, S] to [B, S, D]."""
        config = self.config
        table = self.param("embedding", _INIT, (config.vocab_size, config.hidden_size))
        hidden = table[tokens]
        if self.has_variable("bank", "a"):
            a: jax.Array = self.get_variable("bank", "a")
            b: jax.Array = self.get_variable("bank", "b")
            rows: Any = self.get_variable("bank", "rows")
            if rows is None:
                rows = jnp.arange(len(tokens)) // (len(tokens) // len(a))
            own = jnp.einsum("bsr,bro->bso", a[rows[:, None], tokens], b[rows])
            hidden = hidden + own.astype(hidden.dtype)
        if FAMILIES[config.family].scaled_embedding:
            # The checkpoints were trained with the factor rounded to the dtype of the weights
            hidden = hidden * jnp.asarray(config.hidden_size**0.5, hidden.dtype)
        return hidden
