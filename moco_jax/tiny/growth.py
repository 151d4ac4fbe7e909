"""New members from a trained one: deeper, with other tokens, or part of the way to another."""

from typing import Any

import jax
import jax.numpy as jnp

from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import Params


def deepened(raw_config: dict[str, Any], params: Params, added: int) -> tuple[dict, Params]:
    """Adds blocks that at first change nothing, one behind each of the first `added` blocks.

    A new block is a copy of the one before it whose two output projections are zero (block
    expansion, LLaMA Pro, arXiv 2401.02415).

    Returns:
        The config.json and the params of the deeper model, which computes what the old one did.
    """
    layers = ModelConfig.from_hf(raw_config).num_layers
    if not 0 <= added <= layers:
        raise ValueError(f"cannot add {added} blocks to {layers}; add at most one behind each")
    grown = {name: leaf for name, leaf in params.items() if not name.startswith("layers_")}
    blocks: list[Params] = []
    for number in range(layers):
        block = params[f"layers_{number}"]
        blocks.append(block)
        if number < added:
            blocks.append(_silent(block))
    grown |= {f"layers_{number}": block for number, block in enumerate(blocks)}
    return {**raw_config, "num_hidden_layers": layers + added}, grown


def between(start: Params, end: Params, share: float) -> Params:
    """The params a `share` of the way from `start` to `end`."""
    return jax.tree.map(lambda old, new: old + share * (new - old), start, end)


def _silent(block: Params) -> Params:
    """A block that adds nothing to the residual stream."""
    attention, mlp = dict(block["self_attn"]), dict(block["mlp"])
    attention["o_proj"] = {"kernel": jnp.zeros_like(attention["o_proj"]["kernel"])}
    mlp["down_proj"] = {"kernel": jnp.zeros_like(mlp["down_proj"]["kernel"])}
    return {**block, "self_attn": attention, "mlp": mlp}


def retokenized(
    raw_config: dict[str, Any], params: Params, old: Any, new: Any, vocab_size: int
) -> tuple[dict, Params]:
    """Swaps the vocabulary; a new token begins as the mean of the old tokens that spell it.

    Args:
        raw_config: the config.json of the member.
        params: its params.
        old: the tokenizer it was trained with.
        new: the tokenizer it shall have.
        vocab_size: rows of the new embedding; those without a token are zero.
    """
    table = params["embed_tokens"]["embedding"]
    rows = jnp.zeros((vocab_size, table.shape[1]), table.dtype)
    special = set(new.all_special_ids)
    for token in range(len(new)):
        text = new.convert_ids_to_tokens(token) if token in special else new.decode([token])
        pieces = old(text, add_special_tokens=False)["input_ids"]
        if pieces:
            rows = rows.at[token].set(table[jnp.array(pieces)].mean(axis=0))
    swapped = {**params, "embed_tokens": {"embedding": rows}}
    return {**raw_config, "vocab_size": vocab_size}, swapped
