"""Merges of adapters that stay adapters, against dense products."""

import numpy as np
import pytest

from moco_jax import testing
from moco_jax.method import NeedsError
from moco_jax.methods import make_method
from moco_jax.methods.weight.merged_adapter import MergedAdapter
from moco_jax.models.lora_files import load_adapter
from moco_jax.pool import Pool

TASK = testing.dummy_task("multiple_choice", 2)
MODULE = "layers_0/mlp/down_proj"


@pytest.fixture(scope="module")
def adapters(tmp_path_factory):
    return testing.dummy_adapters(tmp_path_factory.mktemp("adapters"))


@pytest.fixture(scope="module")
def pool(adapters):
    return Pool.load(adapters)


def fit(name, settings, pool):
    return make_method(name, settings).fit(testing.workbench(pool, TASK.dev))


def kernel(params):
    return np.asarray(params["layers_0"]["mlp"]["down_proj"]["kernel"], float)


def factors(adapters):
    """A and scaled B of every adapter, filled up to rank 3."""
    found = []
    for place in adapters:
        one = load_adapter(place)
        a, b = (np.asarray(one.factors[MODULE][side], float) for side in "ab")
        missing = 3 - a.shape[1]
        b = one.config.scale(MODULE) * b
        found.append((np.pad(a, ((0, 0), (0, missing))), np.pad(b, ((0, missing), (0, 0)))))
    return found


@pytest.mark.parametrize("method", ["weight_average", "weight_task_arithmetic"])
def test_deltas_give_the_model_that_whole_weights_give(adapters, pool, method):
    base = pool[0].info.path
    settings = {"base_model": base, "weights": [1.0, -0.5, 2.0], "lambda": 0.7}
    settings = settings if method.endswith("arithmetic") else {}
    whole = fit(method, settings, pool)
    low = fit(method, {**settings, "space": "delta"}, pool)
    np.testing.assert_allclose(
        kernel(low.member.params), kernel(whole.member.params), rtol=1e-4, atol=1e-4
    )
    assert isinstance(low, MergedAdapter)
    assert not isinstance(whole, MergedAdapter)
    assert dict(low.notes) == dict(whole.notes)


def test_factors_are_averaged_each_for_itself(adapters, pool):
    system = fit("weight_average", {"space": "factors"}, pool)
    a, b = (np.mean(side, axis=0) for side in zip(*factors(adapters), strict=True))
    base = kernel(pool[0].variant.population.params)
    np.testing.assert_allclose(kernel(system.member.params), base + (a @ b).T, rtol=1e-4, atol=1e-4)


def test_factors_of_task_arithmetic_are_scaled_both(adapters, pool):
    settings = {"base_model": pool[0].info.path, "space": "factors"}
    system = fit("weight_task_arithmetic", settings, pool)
    a, b = (0.4 * np.sum(side, axis=0) for side in zip(*factors(adapters), strict=True))
    base = kernel(pool[0].variant.population.params)
    np.testing.assert_allclose(kernel(system.member.params), base + (a @ b).T, rtol=1e-4, atol=1e-4)


def test_a_base_in_the_pool_is_not_added(adapters, pool):
    base = pool[0].info.path
    with_base = Pool.load([base, *adapters])
    settings = {"base_model": base, "space": "delta"}
    ours, theirs = (fit("weight_task_arithmetic", settings, p) for p in (with_base, pool))
    np.testing.assert_allclose(kernel(ours.member.params), kernel(theirs.member.params), atol=1e-5)


def test_what_is_no_adapter_is_refused(pool, tmp_path):
    whole = testing.dummy_pool(2)
    with pytest.raises(NeedsError, match="the pool has other members: dummy:0, dummy:1"):
        testing.check(make_method("weight_average", {"space": "delta"}), whole, TASK)
    whole[0].save(tmp_path / "other")
    settings = {"base_model": str(tmp_path / "other"), "space": "delta"}
    with pytest.raises(NeedsError, match="name their base"):
        testing.check(make_method("weight_task_arithmetic", settings), pool, TASK)
