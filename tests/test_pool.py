"""Pools: loading by name, duplicates, adapters, identities, and what is said early."""

import dataclasses
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.decoding.engine import Engine
from moco_jax.decoding.types import Request, Sampling
from moco_jax.models.identity import fingerprint
from moco_jax.models.lora import init_adapter, save_adapter
from moco_jax.models.lora_config import LoraConfig
from moco_jax.pool import Member, Pool, inspect, inspect_all, shared_vocabulary
from moco_jax.testing import dummy_member, dummy_pool, dummy_tokenizer

GREEDY = Sampling(max_new_tokens=6, temperature=0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two members and an adapter over the first, on disk."""
    root = tmp_path_factory.mktemp("pool")
    for member, name in zip(dummy_pool(2), ("first", "second"), strict=True):
        member.save(root / name)
    config = LoraConfig(rank=2, alpha=4.0, targets=("q_proj", "v_proj"))
    adapter = init_adapter(dummy_pool(1)[0].params, config, jax.random.key(0))
    louder = jax.tree.map(lambda leaf: jnp.ones_like(leaf), adapter)
    save_adapter(root / "adapter", louder, "../first")
    return root


def test_members_load_as_they_were_saved(folder):
    saved, loaded = dummy_pool(2), Pool.load([str(folder / "first"), str(folder / "second")])
    for before, after in zip(saved, loaded, strict=True):
        jax.tree.map(np.testing.assert_array_equal, before.params, after.params)
        assert before.eos == after.eos
    prompts = ["aaaaaaaa?", "zzzzzzzz?"]
    assert [[r.text for r in row] for row in loaded.generate(prompts, GREEDY)] == [
        [r.text for r in row] for row in saved.generate(prompts, GREEDY)
    ]


def test_a_checkpoint_may_stand_twice_and_is_read_once(folder):
    path = str(folder / "first")
    pool = Pool.load([path, path])
    assert pool.names == [path, f"{path}#2"]
    assert pool[0].params is pool[1].params
    assert pool[0].identity == pool[1].identity


def test_adapters_load_merged_over_their_base(folder):
    plain, adapted = Pool.load([str(folder / "first"), str(folder / "adapter")])
    assert plain.identity != adapted.identity
    before = plain.params["layers_0"]["self_attn"]["q_proj"]["kernel"]
    after = adapted.params["layers_0"]["self_attn"]["q_proj"]["kernel"]
    # A and B of ones, rank 2, alpha / rank = 2: every entry grows by 2 * 2.
    np.testing.assert_allclose(np.asarray(after - before), 4.0, rtol=1e-5)
    np.testing.assert_array_equal(plain.params["norm"]["scale"], adapted.params["norm"]["scale"])


def test_several_adapters_over_one_base_share_its_weights(folder, tmp_path):
    member = Pool.load([str(folder / "first")])[0]
    config = LoraConfig(rank=3, alpha=3.0, targets=("v_proj",))
    adapter = init_adapter(member.params, config, jax.random.key(1))
    save_adapter(tmp_path / "other", jax.tree.map(jnp.ones_like, adapter), str(folder / "first"))
    names = [str(folder / "first"), str(folder / "adapter"), str(tmp_path / "other")]
    plain, first, second = Pool.load(names)
    assert first.variant.population is second.variant.population
    assert first.variant.population.params is plain.params
    assert len({plain.identity, first.identity, second.identity}) == 3
    merged = Pool.load([names[1]])[0].params
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), first.params, merged)
    question, greedy = [Request.user("what is 3 + 4?")], Sampling(temperature=0, max_new_tokens=4)
    together = Engine().ask([first, second], question * 2, greedy)
    alone = [Engine().ask(Pool.load([name]).members, question, greedy)[0] for name in names[1:]]
    assert [response.tokens for response in together] == [r.tokens for r in alone]
    assert Pool.load(names)[2].identity == second.identity


def test_identity_follows_tensors_config_and_tokenizer():
    member = dummy_member("a", 0)
    same = dummy_member("b", 0)
    assert member.identity == same.identity
    assert member.identity != dummy_member("a", 1).identity
    assert member.identity != dummy_member("a", 0, tokenizer=dummy_tokenizer(True)).identity
    assert member.identity != dummy_member("a", 0, max_positions=512).identity
    narrow = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), member.params)
    assert fingerprint(narrow, member.config, "") != fingerprint(member.params, member.config, "")
    assert (
        member.derive("c", member.params, "x").identity
        != member.derive("c", member.params, "y").identity
    )


def test_derived_members_save_and_load(folder, tmp_path):
    pool = dummy_pool(2)
    params = jax.tree.map(lambda a, b: (a + b) / 2, pool[0].params, pool[1].params)
    pool[0].derive("mean", params, "mean of two").save(tmp_path / "mean")
    loaded = Member.load(inspect(str(tmp_path / "mean")))
    jax.tree.map(np.testing.assert_array_equal, params, loaded.params)


def test_dtype_is_the_users_choice(folder):
    pool = Pool.load([str(folder / "first")], dtype="bfloat16")
    assert {leaf.dtype for leaf in jax.tree.leaves(pool[0].params)} == {jnp.dtype(jnp.bfloat16)}


def test_nothing_is_read_before_all_is_checked(folder, monkeypatch):
    monkeypatch.setattr(
        "moco_jax.pool.load_checkpoint", lambda *_: pytest.fail("weights were read")
    )
    with pytest.raises(ValueError, match="/nowhere"):
        Pool.load([str(folder / "first"), "/nowhere"])
    with pytest.raises(ValueError, match="at least one member"):
        Pool([])


def test_a_missing_chat_template_is_said_once(folder, tmp_path, caplog):
    member = dummy_member("plain", 0)
    bare = dummy_tokenizer()
    bare.chat_template = None
    info = dataclasses.replace(member.info, tokenizer=bare)
    Member(info, member.params, "x").save(tmp_path / "bare")
    with caplog.at_level("WARNING", logger="absl"):
        infos = inspect_all([str(tmp_path / "bare")] * 3)
        [info.template.render([("user", "hello")]) for info in infos]
    assert sum("no chat template" in record.message for record in caplog.records) == 1


def test_vocabularies_are_compared_by_name():
    members = [dummy_member("a", 0).info, dummy_member("b", 1).info]
    assert shared_vocabulary(members) == len(members[0].tokenizer)
    stranger = dummy_member("stranger", 0, tokenizer=dummy_tokenizer(True)).info
    with pytest.raises(ValueError, match="a and stranger have different vocabularies"):
        shared_vocabulary([members[0], stranger])


def test_scores_come_for_every_member():
    pool = dummy_pool(2)
    scores = pool.score(["aaaa", "bbbb"], ["A", "CCC"])
    assert [[len(row) for row in member] for member in scores] == [[1, 3], [1, 3]]
    assert all(value <= 0 for member in scores for row in member for value in row)
    room = pool[0].config.max_positions - len(pool[0].template.render([("user", "")]))
    fits = [pool.score("a" * length, "BC")[0][0] is not None for length in (room - 2, room - 1)]
    assert fits == [True, False]
    with pytest.raises(ValueError, match="2 prompts and 1 continuations"):
        pool.score(["aaaa", "bbbb"], "A")


def test_half_a_character_is_refused_before_it_is_encoded():
    pool = dummy_pool(1)
    with pytest.raises(ValueError, match=r"the continuations\[0\] holds half"):
        pool.score(["a"], ["\ud83d"])
    with pytest.raises(ValueError, match="the prefix holds half"):
        Request.user("a", prefix="\ud83d")


def test_a_string_is_one_text(folder):
    pool = dummy_pool(2)
    greedy = Sampling(max_new_tokens=3, temperature=0.0)
    assert pool.generate("text", greedy) == pool.generate(["text"], greedy)
    assert [len(member) for member in pool.generate("text", greedy)] == [1, 1]
    assert pool.score("text", "AB") == pool.score(["text"], ["AB"])
    assert Pool.load(str(folder / "first")).names == [str(folder / "first")]


@pytest.fixture
def two_voices(folder, tmp_path):
    """Two adapters over one base, each saved with a tokenizer of its own."""
    base = str(folder / "first")
    config = LoraConfig(rank=2, alpha=4.0, targets=("q_proj",))
    for index in range(2):
        adapter = init_adapter(dummy_pool(1)[0].params, config, jax.random.key(index))
        save_adapter(tmp_path / f"voice{index}", adapter, base)
        own = dummy_tokenizer()
        own.chat_template = f"{own.chat_template}{{# {index} #}}"
        own.save_pretrained(tmp_path / f"voice{index}")
    return [base, str(tmp_path / "voice0"), str(tmp_path / "voice1")]


def test_a_member_is_the_same_wherever_it_stands_in_its_pool(two_voices):
    orders = [two_voices, two_voices[::-1], [two_voices[1], two_voices[0], two_voices[2]]]
    found = [{m.name: (m.identity, m.template.source) for m in Pool.load(o)} for o in orders]
    assert found[0] == found[1] == found[2]
    assert len(set(found[0].values())) == 3


def test_a_base_keeps_its_own_tokenizer_beside_its_adapters(two_voices):
    pool = Pool.load(two_voices[::-1])
    assert pool[2].template.source == Pool.load(two_voices[:1])[0].template.source
    assert pool[0].template.source.endswith("{# 1 #}")


@pytest.fixture
def hub(folder, tmp_path, monkeypatch):
    """A hub with a base and an adapter over it."""
    shutil.copytree(folder / "first", tmp_path / "hub" / "org" / "base")
    config = LoraConfig(rank=2, alpha=4.0, targets=("q_proj", "lm_head"))
    adapter = init_adapter(dummy_pool(1)[0].params, config, jax.random.key(0))
    louder = jax.tree.map(lambda leaf: jnp.full_like(leaf, 0.3), adapter)
    save_adapter(tmp_path / "hub" / "org" / "adapter", louder, "org/base")

    def download(repository, revision=None, allow_patterns=None):
        if not (tmp_path / "hub" / repository).is_dir():
            raise OSError(f"no {repository}")
        return str(tmp_path / "hub" / repository)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    return tmp_path / "hub" / "org"


def test_adapters_and_bases_are_named_by_hub_id_too(hub):
    (wanted,) = Pool.load([str(hub / "adapter")])
    (found,) = Pool.load(["org/adapter"])
    jax.tree.map(np.testing.assert_array_equal, found.params, wanted.params)
    assert (found.name, found.info.path) == ("org/adapter", "org/base")
    assert found.identity == wanted.identity


@pytest.mark.parametrize("base", ["/gone/base", "../gone", "org/gone", "models/gone"])
def test_a_base_that_is_gone_is_named_with_the_line_to_mend(hub, base):
    file = hub / "adapter" / "adapter_config.json"
    raw = json.loads(file.read_text())
    file.write_text(json.dumps({**raw, "base_model_name_or_path": base}))
    with pytest.raises(ValueError, match="base_model_name_or_path") as caught:
        inspect(str(hub / "adapter"))
    assert base in str(caught.value) and "adapter_config.json" in str(caught.value)


def test_a_base_by_any_path_is_held_once_beside_its_adapters(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    config = LoraConfig(rank=2, targets=("v_proj",))
    adapter = init_adapter(dummy_pool(1)[0].params, config, jax.random.key(1))
    save_adapter(tmp_path / "other", adapter, "./first")
    (tmp_path / "link").symlink_to(folder / "first")
    for base in ("first", "./first", "../" + folder.name + "/first", str(tmp_path / "link")):
        pool = Pool.load([base, "adapter", str(tmp_path / "other"), "./adapter/"])
        assert pool[1].variant.population.params is pool[0].params
        assert pool[1].variant.population is pool[2].variant.population
        assert pool[3].variant.place == pool[1].variant.place
        assert pool.names[0] == base


def test_an_adapter_of_the_head_counts_in_a_bank(folder, tmp_path):
    names = []
    for index, targets in enumerate([("q_proj", "lm_head"), ("v_proj",)]):
        config = LoraConfig(rank=2, alpha=4.0, targets=targets)
        adapter = init_adapter(dummy_pool(1)[0].params, config, jax.random.key(index))
        noisy = jax.tree.map(lambda leaf: leaf + 0.2, adapter)
        save_adapter(tmp_path / f"{index}", noisy, str(folder / "first"))
        names.append(str(tmp_path / f"{index}"))
    alone = [Pool.load([name]).score(["what is 3 + 4?"], ["seven"])[0][0] for name in names]
    plain = Pool.load([str(folder / "first")]).score(["what is 3 + 4?"], ["seven"])[0][0]
    together = [rows[0] for rows in Pool.load(names).score(["what is 3 + 4?"], ["seven"])]
    np.testing.assert_allclose(together, alone, rtol=1e-4)
    assert np.abs(np.subtract(alone[0], plain)).max() > 0.01


def test_an_adapter_that_fits_not_is_refused_before_weights_are_read(folder, tmp_path):
    other = dummy_member("wide", 0, hidden_size=32)
    config = LoraConfig(rank=2, targets=("q_proj",))
    adapter = init_adapter(other.params, config, jax.random.key(0))
    save_adapter(tmp_path / "wide", adapter, str(folder / "first"))
    with pytest.raises(ValueError, match=r"q_proj is \[16, 16\] in the base and \[32, 32\]"):
        inspect(str(tmp_path / "wide"))
