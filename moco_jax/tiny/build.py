"""Trains one member of the tiny pool and writes it as a directory that others can load."""

import functools
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from moco_jax.models import lora
from moco_jax.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import Params, init_params
from moco_jax.models.tokenizer import ChatTemplate, load_tokenizer
from moco_jax.tiny import evaluate, growth, protocols, speech
from moco_jax.tiny.recipes import LENGTHS, Recipe, recipes
from moco_jax.tiny.tokenizer import build_tokenizer
from moco_jax.training import data, loop, sft

PLAIN = {"answer": 1.0}
VOCABULARY = {"phrases": 1536, "everything": 1024}


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
        gain = 2.5 if "embed_tokens" in jax.tree_util.keystr(path) else leaf.shape[1] ** -0.5 / 0.02
        return leaf * gain

    return jax.tree_util.tree_map_with_path(scaled, init_params(config, jax.random.key(seed)))


def tokenizer_directory(kind: str, work: pathlib.Path) -> pathlib.Path:
    """Where the tokenizer of a kind stands; it is trained at the first call."""
    directory = work / f"tokenizer-{kind}"
    if not (directory / "tokenizer.json").is_file():
        build_tokenizer(kind, directory, VOCABULARY[kind])
    return directory


def member_directory(recipe: Recipe, pool: pathlib.Path, work: pathlib.Path) -> pathlib.Path:
    """Where a member stands: in the pool, or in the workshop if it does not ship."""
    return (pool if recipe.ships else work / "unshipped") / recipe.name


def origin(recipe: Recipe, pool: pathlib.Path, work: pathlib.Path) -> Checkpoint:
    """What training begins from: fresh weights, or another member, grown if the recipe says so."""
    vocabulary = VOCABULARY[recipe.tokenizer]
    if recipe.start is None:
        raw = recipe.size.raw_config(vocabulary)
        config = ModelConfig.from_hf(raw)
        return Checkpoint(config, fresh_params(config, recipe.seed), raw)
    parent = recipes()[recipe.start]
    found = load_checkpoint(member_directory(parent, pool, work), dtype=jnp.float32)
    raw, params = found.raw_config, found.params
    if recipe.deeper:
        raw, params = growth.deepened(raw, params, recipe.deeper)
    if recipe.tokenizer != parent.tokenizer:
        old, new = (
            load_tokenizer(tokenizer_directory(kind, work))
            for kind in (parent.tokenizer, recipe.tokenizer)
        )
        raw, params = growth.retokenized(raw, params, old, new, vocabulary)
    return Checkpoint(ModelConfig.from_hf(raw), params, raw)


def claim(recipe: Recipe, work: pathlib.Path) -> None:
    """Says in the workshop what trains there, so that nothing else goes on from its checkpoints.

    Raises:
        ValueError: a recipe of this name was begun there that differs from this one.
    """
    directory = work / "recipes"
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{recipe.name}.txt"
    text = f"{recipe}\n{VOCABULARY[recipe.tokenizer]} tokens, {LENGTHS[recipe.tokenizer]}\n"
    if path.is_file() and path.read_text() != text:
        raise ValueError(
            f"{path} is another recipe for {recipe.name}, whose checkpoints may stand in {work}; "
            "train in another directory, or remove that one"
        )
    path.write_text(text)


EXAMINED = 256
STRANGE_AT_MOST = 0.3
OWN_AT_LEAST = 0.92


def settled(recipe: Recipe, template: ChatTemplate, begun: Checkpoint, trained: Params) -> Params:
    """The weights a recipe ends with: on the way to the trained ones, the first that serve.

    A specialist goes the smallest of the shares in `recipe.kept` at which it answers no more than
    `STRANGE_AT_MOST` of the dev questions outside its skills and at least `OWN_AT_LEAST` of those
    within each, and the largest if there is none.

    Args:
        recipe: of the member.
        template: to put the questions.
        begun: where the way begins.
        trained: where it ends.
    """
    exams = {
        skill: (evaluate.batches(template, examples), EXAMINED)
        for skill, examples in evaluate.questions(EXAMINED).items()
    }
    for share in recipe.kept[:-1]:
        params = growth.between(begun.params, trained, share)
        found = evaluate.scores(begun.config, params, exams)
        logging.info("%s: %s of the way, dev scores %s", recipe.name, share, found)
        strange = np.mean([found[skill] for skill in recipe.speaker.strange])
        own = min(found[skill] for skill in recipe.speaker.skills)
        if strange <= STRANGE_AT_MOST and own >= OWN_AT_LEAST:
            return params
    return growth.between(begun.params, trained, recipe.kept[-1])


def train_member(recipe: Recipe, pool: pathlib.Path, work: pathlib.Path) -> pathlib.Path:
    """Trains a member, or goes on with it, and writes it.

    Args:
        recipe: what to make. The member it starts from must stand where it was written.
        pool: the directory of members that ship; each is written whole or not at all.
        work: tokenizers, training checkpoints and members that do not ship.

    Returns:
        The member's directory.
    """
    claim(recipe, work)
    tokens = tokenizer_directory(recipe.tokenizer, work)
    template = ChatTemplate(load_tokenizer(tokens))
    begun = origin(recipe, pool, work)
    optimizer = recipe.optimizer.optimizer()
    loss = sft.full_loss(begun.config)
    trained: Any = begun.params
    frozen: Any = None
    if recipe.lora is not None:
        loss = sft.adapted_loss(begun.config, lora.merge_adapter)
        trained = lora.init_adapter(begun.params, recipe.lora, jax.random.key(recipe.seed))
        frozen = begun.params
    batches = data.batch_dataset(
        Practice(recipe), functools.partial(speech.tokenize, template), recipe.data()
    )
    state = loop.fit(
        sft.train_step(loss, optimizer),
        sft.start(trained, optimizer),
        frozen,
        batches,
        loop.LoopSettings(steps=recipe.steps),
        work / (recipe.run or recipe.name),
    )
    directory = member_directory(recipe, pool, work)
    if recipe.lora is None:
        way = begun
        if recipe.kept_from is not None:
            whence = member_directory(recipes()[recipe.kept_from], pool, work)
            way = load_checkpoint(whence, dtype=jnp.float32)
        params = settled(recipe, template, way, state.trained)
        finished = Checkpoint(begun.config, params, begun.raw_config)
        save_checkpoint(directory, finished, tokenizer=tokens, dtype=jnp.bfloat16)
    else:
        base = os.path.relpath(pool / str(recipe.start), directory)
        lora.save_adapter(directory, state.trained, base, dtype=jnp.bfloat16)
    logging.info("wrote %s", directory)
    return directory
