"""Selection by counting, against sorting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moco_jax.kernels.selection import count_reaching, kth_largest, magnitude_bits, radix_select

compiled = jax.jit(kth_largest)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31 - 1), k=st.integers(1, 41), scale=st.sampled_from([1e-38, 1, 1e38])
)
def test_the_kth_largest_is_exact(seed, k, scale):
    rng = np.random.default_rng(seed)
    values = (np.abs(rng.standard_normal((3, 41))).clip(0, 3) * scale).astype(np.float32)
    values[:, ::5] = values[:, :1]  # ties
    found = np.asarray(compiled(jnp.asarray(values), k))
    np.testing.assert_array_equal(found, -np.sort(-values, 1)[:, k - 1])


def test_each_row_has_its_own_k():
    values = jnp.array([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]])
    np.testing.assert_array_equal(kth_largest(values, jnp.array([1, 3])), [3.0, 0.0])


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5])
def test_any_number_of_bits_a_pass_finds_the_same(bits):
    patterns = magnitude_bits(jnp.array([[0.5, -7.0, 1e30, 2.0, 0.0]]))
    found = radix_select(lambda t: count_reaching(patterns, t), 3, 1, bits)
    np.testing.assert_array_equal(found, magnitude_bits(jnp.array([2.0])))
