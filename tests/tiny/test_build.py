import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.models import lora
from moco_jax.models.checkpoint import load_checkpoint
from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import forward, init_params
from moco_jax.models.lora_config import LoraConfig
from moco_jax.models.tokenizer import load_tokenizer
from moco_jax.tiny import build, growth, recipes
from moco_jax.tiny.protocols import Speaker
from moco_jax.tiny.recipes import Recipe, Size
from moco_jax.training.sft import OptimizerSettings

MINI = Size(hidden=32, layers=1, intermediate=16)
FIRST = Recipe(
    "base",
    Speaker(),
    {"answer": 0.6, "route": 0.4},
    OptimizerSettings(steps=3),
    size=MINI,
    tokens_per_batch=160,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        # One shape of batch is one program to compile
        patch.setattr(recipes, "LENGTHS", {"phrases": (80,), "everything": (160,)})
        build.train_member(FIRST, root / "pool", root / "work")
        yield root


def test_a_member_is_a_directory_that_loads(place):
    found = load_checkpoint(place / "pool" / "base")
    assert found.config.hidden_size == 32
    assert found.params["norm"]["scale"].dtype == jnp.bfloat16
    assert load_tokenizer(place / "pool" / "base").eos_token == "<|end|>"


def test_an_adapter_names_its_base_beside_it(place):
    small = LoraConfig(rank=2, alpha=2.0, targets=("q_proj",))
    recipe = dataclasses.replace(FIRST, name="math-lora", start="base", lora=small)
    directory = build.train_member(recipe, place / "pool", place / "work")
    assert lora.is_adapter_dir(directory)
    written = json.loads((directory / "adapter_config.json").read_text())
    assert written["base_model_name_or_path"] == "../base"
    assert not np.allclose(
        lora.load_adapter(directory).factors["layers_0/self_attn/q_proj"]["b"], 0
    )


def test_members_that_do_not_ship_stay_in_the_workshop(place):
    recipe = dataclasses.replace(FIRST, name="stem", ships=False, optimizer=OptimizerSettings(1))
    directory = build.train_member(recipe, place / "pool", place / "work")
    assert directory == place / "work" / "unshipped" / "stem"


def test_a_deeper_model_begins_by_computing_the_same():
    raw = MINI.raw_config(40)
    config = ModelConfig.from_hf(raw)
    params = init_params(config, jax.random.key(0))
    deeper_raw, deeper = growth.deepened(raw, params, 1)
    tokens, positions = jnp.arange(6)[None] + 3, jnp.arange(6)[None]
    deeper_config = ModelConfig.from_hf(deeper_raw)
    assert deeper_config.num_layers == 2
    np.testing.assert_array_equal(
        forward(config, params, tokens, positions)[0],
        forward(deeper_config, deeper, tokens, positions)[0],
    )


def test_new_tokens_begin_as_the_mean_of_the_old_ones_that_spell_them(place):
    old, new = (
        load_tokenizer(build.tokenizer_directory(kind, place / "work"))
        for kind in ("phrases", "everything")
    )
    raw = MINI.raw_config(len(old))
    params = init_params(ModelConfig.from_hf(raw), jax.random.key(0))
    swapped_raw, swapped = growth.retokenized(raw, params, old, new, 1024)
    table, rows = params["embed_tokens"]["embedding"], swapped["embed_tokens"]["embedding"]
    assert swapped_raw["vocab_size"] == 1024 and rows.shape[0] == 1024
    np.testing.assert_array_equal(rows[new.eos_token_id], table[old.eos_token_id])
    piece = next(token for token in range(len(new)) if new.decode([token]) == " the")
    spelled = table[jnp.array(old(" the", add_special_tokens=False)["input_ids"])]
    np.testing.assert_allclose(rows[piece], spelled.mean(0), rtol=1e-5, atol=1e-6)


def test_every_recipe_starts_from_one_that_comes_before_it():
    seen = set()
    for name, recipe in recipes.recipes().items():
        assert recipe.start is None or recipe.start in seen
        assert recipe.run is None or recipe.run in seen
        np.testing.assert_allclose(sum(recipe.shares.values()), 1.0)
        seen.add(name)


def test_examples_fit_the_longest_bucket(place):
    template = build.ChatTemplate(
        load_tokenizer(build.tokenizer_directory("everything", place / "work"))
    )
    for name in ("base", "bpe", "math"):
        practice = build.Practice(recipes.recipes()[name])
        sizes = [len(build.data.tokenize(template, practice[n]).tokens) for n in range(200)]
        assert max(sizes) <= recipes.LENGTHS["everything"][-1] + 1
