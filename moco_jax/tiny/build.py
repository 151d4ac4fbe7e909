"""Trains one member of the tiny pool and writes it as a directory that others can load."""

import functools
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from moco_jax.models import lora
from moco_jax.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import Params, init_params
from moco_jax.models.tokenizer import ChatTemplate, load_tokenizer
from moco_jax.tiny import protocols
from moco_jax.tiny.recipes import Recipe
from moco_jax.tiny.tokenizer import build_tokenizer
from moco_jax.training import data, loop, sft

PLAIN = {"answer": 1.0}
VOCABULARY = {"phrases": 1088, "everything": 1024}


class Practice:
    """The endless examples of a recipe, each made up from its index alone."""

    def __init__(self, recipe: Recipe):
        self._recipe = recipe

    def __len__(self) -> int:
        """More than will ever be read."""
        return 2**31 - 1

    def __getitem__(self, index: int) -> data.Example:
        """The example at `index`."""
        recipe = self._recipe
        rng = np.random.default_rng([recipe.seed, index])
        shares = PLAIN if index < recipe.plain_examples else recipe.shares
        return protocols.example(recipe.speaker, shares, rng, **recipe.skill_weights)


def fresh_params(config: ModelConfig, seed: int) -> Params:
    """Initial weights of unit gain.

    The usual deviation of 0.02 suits widths of thousands; at a width of a hundred it would leave
    the layers almost silent, and the first skills would come an order of magnitude later.
    """

    def scaled(path: jax.tree_util.KeyPath, leaf: jax.Array) -> jax.Array:
        if leaf.ndim < 2:
            return leaf
        gain = 2.5 if "embed_tokens" in jax.tree_util.keystr(path) else leaf.shape[0] ** -0.5 / 0.02
        return leaf * gain

    return jax.tree_util.tree_map_with_path(scaled, init_params(config, jax.random.key(seed)))


def tokenizer_directory(kind: str, work: pathlib.Path) -> pathlib.Path:
    """Where the tokenizer of a kind stands; it is trained at the first call."""
    directory = work / f"tokenizer-{kind}"
    if not (directory / "tokenizer.json").is_file():
        build_tokenizer(kind, directory, VOCABULARY[kind])
    return directory


def train_member(recipe: Recipe, pool: pathlib.Path, work: pathlib.Path) -> pathlib.Path:
    """Trains a member, or goes on with it, and writes it to `pool`.

    Args:
        recipe: what to make. The member it starts from must stand in `pool`.
        pool: the directory of members; each is written whole or not at all.
        work: tokenizers and training checkpoints; what is there is continued.

    Returns:
        The member's directory.
    """
    tokens = tokenizer_directory(recipe.tokenizer, work)
    template = ChatTemplate(load_tokenizer(tokens))
    if recipe.start is None:
        raw = recipe.size.raw_config(VOCABULARY[recipe.tokenizer])
        config = ModelConfig.from_hf(raw)
        origin = Checkpoint(config, fresh_params(config, recipe.seed), raw)
    else:
        origin = load_checkpoint(pool / recipe.start, dtype=jnp.float32)
    optimizer = recipe.optimizer.optimizer()
    if recipe.lora is None:
        loss, trained, frozen = sft.full_loss(origin.config), origin.params, None
    else:
        loss = sft.adapted_loss(origin.config, lora.merge_adapter)
        trained = lora.init_adapter(origin.params, recipe.lora, jax.random.key(recipe.seed))
        frozen = origin.params
    batches = data.batch_dataset(
        Practice(recipe), functools.partial(data.tokenize, template), recipe.data()
    )
    state = loop.fit(
        sft.train_step(loss, optimizer),
        sft.start(trained, optimizer),
        frozen,
        batches,
        loop.LoopSettings(steps=recipe.optimizer.steps),
        work / recipe.name,
    )
    directory = pool / recipe.name
    if recipe.lora is None:
        finished = Checkpoint(origin.config, state.trained, origin.raw_config)
        save_checkpoint(directory, finished, tokenizer=tokens, dtype=jnp.bfloat16)
    else:
        base = os.path.relpath(pool / recipe.start, directory)
        lora.save_adapter(directory, state.trained, base, dtype=jnp.bfloat16)
    logging.info("wrote %s", directory)
    return directory
