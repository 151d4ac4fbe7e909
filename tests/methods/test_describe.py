"""Every setting of every method is described."""

import dataclasses

import pytest

from moco_jax.methods import METHODS
from moco_jax.methods.describe import settings_of


@pytest.mark.parametrize("name", METHODS)
def test_every_setting_has_a_meaning(name):
    kind = METHODS[name]
    found = settings_of(kind)
    assert {one.name for one in found} == {field.name for field in dataclasses.fields(kind)}
    assert [one.name for one in found if not one.meaning] == []


def test_what_has_to_be_given_comes_first_and_what_is_inherited_last():
    names = [one.name for one in settings_of(METHODS["weight_dare_ties"])]
    assert names[0] == "base_model_name"
    assert names.index("density") < names.index("inertia")
    names = [one.name for one in settings_of(METHODS["api_nudging"])]
    assert names[0] == "gamma", "a default that is a tuple need not be given"
    given = settings_of(METHODS["weight_dare_ties"])[0]
    assert given.default == "(has to be given)"
    assert given.meaning.startswith("the base: a member of the pool")
