"""Members of a run: named, inspected, and loaded only when needed."""

import jax
import pytest

from moco_jax import testing
from moco_jax.models.lora import init_adapter, save_adapter
from moco_jax.models.lora_config import LoraConfig
from moco_jax.pool import Pool
from moco_jax.runs.members import Members
from moco_jax.runs.store import SqliteStore


@pytest.fixture
def places(tmp_path):
    folders = []
    for index in range(2):
        folders.append(str(tmp_path / f"member{index}"))
        testing.dummy_member("any", index).save(tmp_path / f"member{index}")
    return folders


def test_a_string_is_one_source(places):
    assert [info.name for info in Members(places[0]).infos] == places[:1]


def test_weights_are_read_once_and_their_identity_remembered(places, tmp_path, monkeypatch):
    with SqliteStore(tmp_path / "store.sqlite") as store:
        members = Members(places)
        first = members.identities(store)
        pool = members.load(store)
        assert [member.identity for member in pool] == first
        assert members.load(store) is pool
        with monkeypatch.context() as patch:
            patch.setattr(Pool, "of", None)
            assert Members(places).identities(store) == first
        testing.dummy_member("other", 7).save(tmp_path / "member0")
        changed = Members(places).identities(store)
        assert changed[0] != first[0]
        assert changed[1] == first[1]
        assert Members(places, "bfloat16").identities(store) != changed


def test_an_adapter_in_a_bank_is_not_taken_for_one_alone(places, tmp_path):
    names = []
    for index in range(2):
        config = LoraConfig(rank=2, targets=("q_proj",))
        adapter = init_adapter(testing.dummy_member("a", 0).params, config, jax.random.key(index))
        names.append(str(tmp_path / f"adapter{index}"))
        save_adapter(tmp_path / f"adapter{index}", adapter, places[0])
    with SqliteStore(tmp_path / "store.sqlite") as store:
        alone = [Members([name]).identities(store)[0] for name in names]
        together = Members(names).identities(store)
        assert together == [member.identity for member in Pool.load(names)]
        assert not set(together) & set(alone)


def test_a_loaded_pool_is_taken_as_it_is(tmp_path):
    pool = testing.dummy_pool(2)
    members = Members(pool)
    assert members.names == ("dummy:0", "dummy:1")
    assert members.dtype == "float32"
    with SqliteStore(tmp_path / "store.sqlite") as store:
        assert members.load(store) is pool
        assert store.size().records == 0
