"""What a run is named after."""

import dataclasses

import pytest

from moco_jax import testing
from moco_jax.methods import make_method
from moco_jax.runs.config import RunConfig
from moco_jax.runs.resolved import Resolved


@pytest.mark.parametrize(("used", "same"), [(True, False), (False, True)])
def test_own_settings_count_where_they_are_used(used, same):
    sampling = dataclasses.replace(testing.SHORT, use_generation_config=used)
    config = RunConfig(method="single_model", task="t", models=("a",), sampling=sampling)
    method, task = make_method("single_model", {}), testing.dummy_task("multiple_choice", 2)
    found = {
        Resolved.of(config, method, task, [("a", "x")], "float32", (), [{"temperature": t}]).digest
        for t in (0.3, 3.0)
    }
    assert (len(found) == 1) == same
