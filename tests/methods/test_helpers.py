"""Models beside the pool: found by name, loaded once, refused with the hyperparameter's name."""

import dataclasses
from typing import ClassVar

import pytest

from moco_jax import testing
from moco_jax.method import Method, NeedsError
from moco_jax.methods import METHODS, make_method
from moco_jax.methods.helpers import Helpers, same_model
from moco_jax.pool import Pool, inspect
from moco_jax.system import System
from moco_jax.testing import dummy_member, dummy_pool

TASK = testing.dummy_task("multiple_choice", 3)


@dataclasses.dataclass(frozen=True)
class Helped(Method):
    """Uses whatever models it is told to."""

    name: ClassVar[str] = "helped"

    ranker: str = "dummy:1"
    others: tuple[str, ...] = ()

    def helpers(self):
        return {"ranker": self.ranker} | {f"other {one}": one for one in self.others}

    def fit(self, bench) -> System:
        raise NotImplementedError


def test_a_name_is_a_member_or_a_checkpoint_that_is_read_once(tmp_path):
    pool = dummy_pool(2)
    assert pool.find("dummy:1") is pool[1]
    other = dummy_member("other", 7)
    other.save(tmp_path)
    found = pool.find(str(tmp_path))
    assert found.identity == other.identity
    assert pool.find(str(tmp_path)) is found
    assert pool.with_helpers({"it": inspect(str(tmp_path))}).find("it") is found


def test_a_checkpoint_that_changed_is_read_again(tmp_path):
    pool = dummy_pool(1)
    for seed in (7, 8):
        other = dummy_member("other", seed)
        other.save(tmp_path)
        assert pool.find(str(tmp_path)).identity == other.identity


def test_a_member_under_another_name_is_that_member(tmp_path):
    dummy_member("saved", 7).save(tmp_path / "one")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    pool = Pool.load([str(tmp_path / "one")])
    assert pool.find(str(tmp_path / "two")) is pool[0]
    helpers = Helpers([member.info for member in pool])
    found = helpers.of(Helped(str(tmp_path / "two")))
    assert found["ranker"] is pool[0].info
    assert helpers.beside(found) == []


def test_helpers_are_looked_up_once_and_stand_beside_the_pool_once(tmp_path, monkeypatch):
    dummy_member("saved", 7).save(tmp_path)
    looked_up = []
    monkeypatch.setattr(
        "moco_jax.methods.helpers.inspect", lambda name: looked_up.append(name) or inspect(name)
    )
    helpers = Helpers([member.info for member in dummy_pool(2)])
    method = Helped(str(tmp_path), ("dummy:0", f"{tmp_path}/."))
    for _ in range(2):
        found = helpers.of(method)
    assert looked_up == [str(tmp_path), f"{tmp_path}/."]
    assert found["other dummy:0"] is helpers.infos[0]
    assert len(helpers.beside(found)) == 1


def test_what_cannot_be_found_is_named():
    for method, field in ((Helped("./nowhere"), "ranker"), (Helped(others=("./no",)), "others")):
        with pytest.raises(NeedsError, match=rf"helped: {field} is './no.*no member .*dummy:1\)"):
            testing.check(method, dummy_pool(2), TASK)


def test_a_method_finds_only_the_helpers_that_it_declares(tmp_path):
    dummy_member("saved", 7).save(tmp_path)
    view = dummy_pool(2).with_helpers({})
    assert view.find("dummy:1") is view[1]
    with pytest.raises(ValueError, match=r"name it in the method's helpers\(\)"):
        view.find(str(tmp_path))


def test_a_model_that_changed_is_refused():
    before, after = dummy_member("judge", 1), dummy_member("judge", 2)
    assert same_model("selector", "judge", before.identity, Pool([before])) is before
    with pytest.raises(ValueError, match="selector judge is not the model"):
        same_model("selector", "judge", before.identity, Pool([after]))


NAMED = {
    "api_switch_generation": ({"selector_model_name": "x"}, {"selector": "x"}),
    "text_llm_blender": (
        {"ranker_model_name": "x", "fuser_model_name": "y"},
        {"ranker": "x", "fuser": "y"},
    ),
    "text_moa": ({"aggregator_model": "x"}, {"aggregator": "x"}),
    "weight_dare_ties": ({"base_model_name": "x"}, {"base": "x"}),
    "weight_expo": (
        {"mode": "pairs", "sft_models": ["a", "b"], "dpo_models": ["c", "d"]},
        {"source 1": "a", "target 1": "c", "source 2": "b", "target 2": "d"},
    ),
    **{
        f"weight_{name}": ({"base_model": "x"}, {"base": "x"})
        for name in (
            "breadcrumbs",
            "dare",
            "della",
            "model_stock",
            "task_arithmetic",
            "ties",
        )
    },
}


@pytest.mark.parametrize("name", NAMED)
def test_every_model_that_a_setting_names_is_declared(name):
    settings, helpers = NAMED[name]
    assert make_method(name, settings).helpers() == helpers


def test_no_other_method_has_a_setting_that_names_a_model():
    ignored = {("weight_model_swarms", "base_model")}
    for name, kind in METHODS.items():
        fields = {field.name for field in dataclasses.fields(kind)}
        models = {one for one in fields if "model" in one and "models" not in one}
        models -= {"base_model_id", "nudging_model_id", "model_descriptions", "samples_per_model"}
        if name not in NAMED:
            assert {(name, one) for one in models} <= ignored
