"""Which form runs where; kernels are lowered for accelerators that are not there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.kernels import fused_sample, low_rank, platforms, ties_merge
from moco_jax.kernels.fused_sample import Filters, Knobs
from moco_jax.kernels.platforms import pick

CALLS = {"cuda": "__gpu$xla.gpu.triton", "tpu": "tpu_custom_call"}
FILTERS = Filters(greedy=False, top_k=True, top_p=True, min_p=True, penalty=False)


def bank(x):
    a, b = jnp.ones((3, 64, 8)), jnp.ones((3, 8, 96))
    return low_rank(x[:, None], a, b, jnp.array([0, 1, 2, 0]))


def merge(x):
    return ties_merge(x, jnp.ones(4), 0.5)


def draw(x):
    keys, logits = jax.random.split(jax.random.key(0), 4), jnp.stack([x, x])
    return fused_sample(FILTERS, Knobs(0.7, 5, 0.9, 0.1, 1.0), keys, logits, jnp.ones((4, 2)))


def forbidden(*args):
    raise AssertionError("a kernel was traced without an accelerator")


def test_without_an_accelerator_no_kernel_is_traced():
    assert pick(lambda x: x + 1, forbidden, forbidden, 1) == 2


def test_a_kernel_that_never_ran_on_a_platform_is_not_picked(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert pick(lambda x: x + 1, forbidden, forbidden, 1) == 2


def test_over_a_mesh_no_kernel_is_traced(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(platforms, "MEASURED", {"cuda", "tpu"})
    with jax.set_mesh(jax.make_mesh((1,), ("data",))):
        assert pick(lambda x: x + 1, forbidden, forbidden, 1) == 2


@pytest.mark.parametrize("function", [bank, merge, draw])
@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_get_the_kernel_and_cpus_the_reference(monkeypatch, platform, function):
    plain = function(jnp.ones((4, 64)))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(platforms, "MEASURED", {"cuda", "tpu"})
    traced = jax.jit(lambda x: function(x)).trace(jnp.ones((4, 64)))
    assert CALLS[platform] in traced.lower(lowering_platforms=(platform,)).as_text()
    assert not any(call in traced.lower().as_text() for call in CALLS.values())
    jax.tree.map(np.testing.assert_array_equal, traced.lower().compile()(jnp.ones((4, 64))), plain)
