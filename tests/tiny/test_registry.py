import json

import pytest

from moco_jax import tiny
from moco_jax.models import lora_files
from moco_jax.models.checkpoint import open_checkpoint
from moco_jax.models.tokenizer import ChatTemplate, load_tokenizer
from moco_jax.tiny.problems import SKILLS

WHOLE = [name for name in tiny.MEMBERS if not name.endswith("-lora")]
ADAPTERS = [name for name in tiny.MEMBERS if name.endswith("-lora")]


def test_unknown_members_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no packaged member 'tiny:chess'.*tiny:math"):
        tiny.tiny_pool_path("tiny:chess")


def test_descriptions_are_those_of_the_experts_in_order():
    assert tuple(tiny.DESCRIPTIONS[skill] for skill in SKILLS) == tiny.MODEL_DESCRIPTIONS


@pytest.mark.parametrize("name", WHOLE)
def test_members_ship_as_checkpoints_with_a_chat_tokenizer(name):
    path = tiny.tiny_pool_path(f"tiny:{name}")
    reader = open_checkpoint(path)
    template = ChatTemplate(load_tokenizer(path))
    assert len(template.tokenizer) <= reader.config.vocab_size
    text = template.text([("system", "be brief."), ("user", "1 + 1 = ?")])
    assert text == "<|system|>be brief.<|end|><|user|>1 + 1 = ?<|end|><|assistant|>"


@pytest.mark.parametrize("name", ADAPTERS)
def test_adapters_ship_beside_their_base(name):
    path = tiny.tiny_pool_path(name)
    assert lora_files.is_adapter_dir(path)
    assert (path / lora_files.adapter_base(path)).resolve() == tiny.tiny_pool_path("base").resolve()


def test_experts_share_an_architecture_and_the_pool_is_small():
    configs = {
        json.dumps(open_checkpoint(tiny.tiny_pool_path(name)).raw_config, sort_keys=True)
        for name in ("base", *SKILLS)
    }
    assert len(configs) == 1
    pool = tiny.tiny_pool_path("base").parent
    assert sum(file.stat().st_size for file in pool.rglob("*") if file.is_file()) < 24e6
