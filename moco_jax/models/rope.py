"""Rotary position embeddings and the ways checkpoints stretch them beyond their training length.

RoPE is Su et al., arXiv 2104.09864. The scalings are those that the supported families' configs
name: `linear`, `dynamic` (NTK by current length), `yarn` (arXiv 2309.00071), `longrope`
(arXiv 2402.13753) and `llama3` (the Llama 3.1 release).
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

KINDS = ("default", "linear", "dynamic", "yarn", "longrope", "llama3")
_NEEDED: dict[str, tuple[str, ...]] = {
    "linear": ("factor",),
    "dynamic": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor"),
    "longrope": ("short_factor", "long_factor"),
}


@dataclasses.dataclass(frozen=True)
class Rope:
    """Settings of one rotary embedding; the names follow the Hugging Face keys they come from.

    Attributes:
        theta: base of the geometric series of wavelengths.
        kind: one of `KINDS`.
        factor: how many times the trained context is stretched.
        trained_positions: context length before stretching (`original_max_position_embeddings`;
            for `dynamic` it is `max_position_embeddings`).
        rotary_fraction: leading share of each head that is rotated (`partial_rotary_factor`).
        attention_factor: multiplies cos and sin; resolved when the config is read.
        low_freq_factor, high_freq_factor: `llama3` only.
        beta_fast, beta_slow, truncate: `yarn` only.
        short_factor, long_factor: `longrope` only, one number per rotated pair.
    """

    theta: float = 10_000.0
    kind: str = "default"
    factor: float = 1.0
    trained_positions: int = 2048
    rotary_fraction: float = 1.0
    attention_factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    truncate: bool = True
    short_factor: tuple[float, ...] = ()
    long_factor: tuple[float, ...] = ()

    def content(self) -> list[Any]:
        """Its settings in an order of their own, for hashes; see `ModelConfig.content`."""
        scaling = [self.kind, self.factor, self.trained_positions, self.attention_factor]
        scaling += [self.low_freq_factor, self.high_freq_factor, self.beta_fast, self.beta_slow]
        scaling += [self.truncate, self.short_factor, self.long_factor]
        return [self.theta, self.rotary_fraction, scaling]

    @property
    def switches(self) -> bool:
        """Whether all frequencies change at once when a row outgrows the trained positions.

        (`dynamic` changes them a little with every token past that; keys keep the rotation they
        were written with, as in transformers.)
        """
        return self.kind == "longrope"


def rope_from_hf(raw: Mapping[str, Any], theta: float, max_positions: int) -> Rope:
    """Reads one `rope_scaling` / `rope_parameters` dict.

    Args:
        raw: the dict (may be empty: plain RoPE).
        theta: the base where the dict names none.
        max_positions: `max_position_embeddings` of the config.

    Raises:
        ValueError: the kind is not one of `KINDS`, or a number it needs is missing.
    """
    kind = raw.get("rope_type") or raw.get("type") or "default"
    kind = "longrope" if kind == "su" else kind
    if kind not in KINDS:
        raise ValueError(
            f"RoPE scaling {kind!r} is not supported; supported are {', '.join(KINDS)}. "
            "Use a checkpoint whose config.json names one of these."
        )
    trained = raw.get("original_max_position_embeddings") or max_positions
    if kind == "dynamic":
        trained = max_positions
    factor = raw.get("factor")
    if factor is None and kind in ("yarn", "longrope"):
        factor = max_positions / trained
    missing = [key for key in _NEEDED.get(kind, ()) if raw.get(key) is None]
    if missing:
        raise ValueError(
            f"RoPE scaling {kind!r} needs {', '.join(missing)}, absent from config.json's "
            "rope_scaling / rope_parameters; restore the original config.json."
        )
    factor = float(factor or 1.0)
    return Rope(
        theta=float(raw.get("rope_theta") or theta),
        kind=kind,
        factor=factor,
        trained_positions=int(trained),
        rotary_fraction=float(raw.get("partial_rotary_factor") or 1.0),
        attention_factor=_attention_factor(kind, factor, trained, raw),
        low_freq_factor=float(raw.get("low_freq_factor") or 1.0),
        high_freq_factor=float(raw.get("high_freq_factor") or 4.0),
        beta_fast=float(raw.get("beta_fast") or 32.0),
        beta_slow=float(raw.get("beta_slow") or 1.0),
        truncate=bool(raw.get("truncate", True)),
        short_factor=tuple(map(float, raw.get("short_factor") or ())),
        long_factor=tuple(map(float, raw.get("long_factor") or ())),
    )


def _attention_factor(kind: str, factor: float, trained: int, raw: Mapping[str, Any]) -> float:
    """The temperature that YaRN and LongRoPE put on attention, through cos and sin."""
    if kind not in ("yarn", "longrope"):
        return 1.0
    if raw.get("attention_factor") is not None:
        return float(raw["attention_factor"])
    if factor <= 1.0:
        return 1.0
    if kind == "longrope":
        return math.sqrt(1 + math.log(factor) / math.log(trained))
    top, bottom = raw.get("mscale"), raw.get("mscale_all_dim")
    if top and bottom:
        return (0.1 * top * math.log(factor) + 1) / (0.1 * bottom * math.log(factor) + 1)
    return 0.1 * math.log(factor) + 1


def rotary_tables(
    rope: Rope, head_dim: int, positions: jax.Array, lengths: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Cosines and sines of every rotated pair.

    Args:
        rope: the settings.
        head_dim: H; the first `rotary_fraction` of it is rotated, R dimensions.
        positions: i32[B, T], absolute positions.
        lengths: i32[B], the current length of each row, which `dynamic` and `longrope` look at.
            It is per row, so a row's output does not depend on its neighbours.

    Returns:
        cos f32[B, T, R/2] and sin f32[B, T, R/2], times the attention factor.
    """
    frequencies = _frequencies(rope, int(head_dim * rope.rotary_fraction), lengths)
    angles = positions[..., None].astype(jnp.float32) * frequencies
    return jnp.cos(angles) * rope.attention_factor, jnp.sin(angles) * rope.attention_factor


def rotate(x: jax.Array, cos: jax.Array, sin: jax.Array) -> jax.Array:
    """Rotates the pairs (i, i + R/2) of each head in f32; dimensions beyond R pass unchanged.

    Args:
        x: [B, T, N, H].
        cos: f32[B, T, R/2].
        sin: f32[B, T, R/2].

    Returns:
        [B, T, N, H] in the dtype of `x`.
    """
    half = cos.shape[-1]
    cos, sin = cos[:, :, None], sin[:, :, None]
    first = x[..., :half].astype(jnp.float32)
    second = x[..., half : 2 * half].astype(jnp.float32)
    turned = [first * cos - second * sin, second * cos + first * sin]
    return jnp.concatenate([*(part.astype(x.dtype) for part in turned), x[..., 2 * half :]], -1)


def _frequencies(rope: Rope, dim: int, lengths: jax.Array) -> jax.Array:
    """Angle per position of each pair: f32[R/2], or f32[B, 1, R/2] if they depend on length."""
    exponents = np.arange(0, dim, 2, dtype=np.float32) / dim
    plain = 1.0 / np.float32(rope.theta) ** exponents
    if rope.kind == "linear":
        return jnp.asarray(plain / rope.factor)
    if rope.kind == "llama3":
        return jnp.asarray(_llama3(rope, plain))
    if rope.kind == "yarn":
        return jnp.asarray(_yarn(rope, plain, dim))
    longer = (lengths > rope.trained_positions)[:, None, None]
    if rope.kind == "longrope":
        short = plain / np.asarray(rope.short_factor, np.float32)
        long = plain / np.asarray(rope.long_factor, np.float32)
        return jnp.where(longer, long, short)
    if rope.kind == "dynamic":
        ratio = jnp.maximum(lengths, rope.trained_positions) / rope.trained_positions
        stretch = (rope.factor * ratio - (rope.factor - 1)) ** (dim / (dim - 2))
        return 1.0 / (rope.theta * stretch[:, None, None]) ** exponents
    return jnp.asarray(plain)


def _llama3(rope: Rope, plain: np.ndarray) -> np.ndarray:
    """Stretches long wavelengths, keeps short ones, blends those between."""
    wavelengths = 2 * math.pi / plain
    turns = rope.trained_positions / wavelengths
    blend = (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor)
    blend = np.clip(blend, 0.0, 1.0)
    return ((1 - blend) * plain / rope.factor + blend * plain).astype(np.float32)


def _yarn(rope: Rope, plain: np.ndarray, dim: int) -> np.ndarray:
    """NTK-by-parts, arXiv 2309.00071 section 3.2: a ramp between stretched and plain pairs."""

    def pair_of(turns: float) -> float:
        return (
            dim
            * math.log(rope.trained_positions / (turns * 2 * math.pi))
            / 2
            / math.log(rope.theta)
        )

    low, high = pair_of(rope.beta_fast), pair_of(rope.beta_slow)
    if rope.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dim - 1)
    span = high - low or 0.001
    ramp = np.clip((np.arange(dim // 2, dtype=np.float32) - low) / span, 0.0, 1.0)
    return (plain / rope.factor * ramp + plain * (1 - ramp)).astype(np.float32)
