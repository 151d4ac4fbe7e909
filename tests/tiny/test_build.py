import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.models import lora_files
from moco_jax.models.checkpoint import Checkpoint, load_checkpoint
from moco_jax.models.config import ModelConfig
from moco_jax.models.decoder import forward, init_params
from moco_jax.models.lora_config import LoraConfig
from moco_jax.models.tokenizer import ChatTemplate, load_tokenizer
from moco_jax.tasks import load_task
from moco_jax.tiny import build, evaluate, growth, recipes, speech
from moco_jax.tiny.problems import SKILLS
from moco_jax.tiny.protocols import PROTOCOLS
from moco_jax.tiny.recipes import Recipe, Size
from moco_jax.tiny.speech import Speaker
from moco_jax.training.sft import OptimizerSettings

LENGTHS = dict(recipes.LENGTHS)
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
    assert lora_files.is_adapter_dir(directory)
    written = json.loads((directory / "adapter_config.json").read_text())
    assert written["base_model_name_or_path"] == "../base"
    assert not np.allclose(
        lora_files.load_adapter(directory).factors["layers_0/self_attn/q_proj"]["b"], 0
    )


def test_members_that_do_not_ship_stay_in_the_workshop(place):
    recipe = dataclasses.replace(FIRST, name="stem", ships=False, optimizer=OptimizerSettings(1))
    directory = build.train_member(recipe, place / "pool", place / "work")
    assert directory == place / "work" / "unshipped" / "stem"


def test_fresh_layers_keep_the_size_of_what_they_read():
    config = ModelConfig.from_hf(MINI.raw_config(40))
    params = build.fresh_params(config, 0)
    for block in params["layers_0"].values():
        for layer in (part for part in block.values() if isinstance(part, dict)):
            kernel = layer["kernel"]
            x = jax.random.normal(jax.random.key(1), (200, kernel.shape[1]))
            assert float((x @ kernel.T).std()) == pytest.approx(1.0, rel=0.2)


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


@pytest.mark.parametrize("name", ["base", "math", "bpe"])
def test_examples_fit_the_longest_bucket_with_room_to_answer(name, place):
    recipe = recipes.recipes()[name]
    directory = build.tokenizer_directory(recipe.tokenizer, place / "work")
    template = ChatTemplate(load_tokenizer(directory))
    practice = build.Practice(recipe)
    start = recipe.plain_examples
    sizes = [len(speech.tokenize(template, practice[start + n]).tokens) for n in range(300)]
    longest = LENGTHS[recipe.tokenizer][-1]
    assert max(sizes) <= longest + 1
    assert longest + 32 <= recipe.size.raw_config(1)["max_position_embeddings"]


def test_what_was_begun_by_others_is_read_but_not_learned(place):
    template = ChatTemplate(load_tokenizer(build.tokenizer_directory("phrases", place / "work")))
    whole = speech.tokenize(template, speech.single_turn("1 + 1 = ?", "\\boxed{2}"))
    rest = speech.tokenize(template, speech.continued("1 + 1 = ?", "\\boxed{", "2}"))
    assert rest.tokens == whole.tokens
    assert rest.prompt_length == whole.prompt_length + 1


def test_examinations_ask_dev_problems_about_every_role():
    exams = evaluate.examinations(4)
    assert set(exams) == {*SKILLS, *PROTOCOLS} - {"answer"}
    test = {
        line
        for name in ("tiny_mix", "tiny_choice")
        for item in load_task(name).test.items
        for line in item.question.split("\n")[:1]
    }
    for examples in exams.values():
        assert not any(line in test for one in examples for line in one.messages[0][1].split("\n"))


def test_a_specialist_goes_the_first_share_of_the_way_that_makes_it_one(place, monkeypatch):
    kept = (0.25, 0.5, 1.0)
    recipe = dataclasses.replace(FIRST, speaker=Speaker(("math",)), kept=kept)
    template = ChatTemplate(load_tokenizer(place / "pool" / "base"))
    begun = Checkpoint(ModelConfig.from_hf(MINI.raw_config(8)), {"w": jnp.zeros(2)}, {})

    def scores(config, params, exams):
        share = float(params["w"][0])
        return dict.fromkeys(exams, 1 - 2 * share) | {"math": share}

    monkeypatch.setattr(evaluate, "scores", scores)
    monkeypatch.setattr(build, "EXAMINED", 2)
    for strange, own, share in (
        (0.5, 0.0, 0.25),
        (0.2, 0.0, 0.5),
        (-0.5, 0.0, 1.0),
        (0.5, 0.4, 0.5),
        (0.5, 0.6, 1.0),
    ):
        monkeypatch.setattr(build, "STRANGE_AT_MOST", strange)
        monkeypatch.setattr(build, "OWN_AT_LEAST", own)
        settled = build.settled(recipe, template, begun, {"w": jnp.ones(2)})
        np.testing.assert_allclose(settled["w"], share)


def test_the_way_may_begin_before_the_start(place):
    recipe = dataclasses.replace(
        FIRST, name="far", start="base", kept=(0.0,), kept_from="base", ships=False
    )
    middle = dataclasses.replace(FIRST, name="middle", start="base", ships=False, seed=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "recipes", lambda: {"base": FIRST, "middle": middle})
        build.train_member(middle, place / "pool", place / "work")
        later = dataclasses.replace(recipe, start="middle")
        made = load_checkpoint(build.train_member(later, place / "pool", place / "work"))
    base = load_checkpoint(place / "pool" / "base")
    for ours, theirs in zip(
        jax.tree.leaves(made.params), jax.tree.leaves(base.params), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_workshop_is_for_one_set_of_recipes(tmp_path):
    build.claim(FIRST, tmp_path)
    build.claim(FIRST, tmp_path)
    with pytest.raises(ValueError, match="another recipe for base"):
        build.claim(dataclasses.replace(FIRST, seed=2), tmp_path)
