"""Products with kernels [out, in]: against numpy, and in the order that a CPU is fast in."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.models.linear import FEW_ROWS, linear

IN, OUT = 24, 40


def arrays(*lead):
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((*lead, IN)), rng.standard_normal((OUT, IN))
    return x.astype(np.float32), kernel.astype(np.float32)


@pytest.mark.parametrize("lead", [(), (1,), (3, 2), (FEW_ROWS,), (FEW_ROWS + 1,), (FEW_ROWS, 2)])
def test_product_is_that_of_numpy(lead):
    x, kernel = arrays(*lead)
    exact = x.astype(np.float64) @ kernel.T.astype(np.float64)
    np.testing.assert_allclose(jax.jit(linear)(x, kernel), exact, rtol=1e-4, atol=1e-5)


def test_product_of_bfloat16_is_summed_in_float32():
    x, kernel = (jnp.asarray(array, jnp.bfloat16) for array in arrays(3))
    product = linear(x, kernel)
    assert product.dtype == jnp.float32
    exact = np.asarray(x, np.float64) @ np.asarray(kernel, np.float64).T
    np.testing.assert_allclose(product, exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [3, FEW_ROWS + 1])
def test_product_is_differentiated_and_mapped(rows):
    x, kernel = arrays(rows)
    gradient = jax.grad(lambda kernel: (linear(x, kernel) ** 2).sum())(jnp.asarray(kernel))
    np.testing.assert_allclose(gradient, 2 * (x @ kernel.T).T @ x, rtol=1e-4, atol=1e-3)
    both = jax.vmap(linear, (None, 0))(x, np.stack([kernel, 2 * kernel]))
    np.testing.assert_allclose(both[1], 2 * x @ kernel.T, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the order of a CPU's product")
@pytest.mark.parametrize(("rows", "left"), [(2, OUT), (FEW_ROWS, OUT), (FEW_ROWS + 1, None)])
def test_a_cpu_multiplies_few_rows_with_the_weights_first(rows, left):
    program = jax.jit(linear).lower(*arrays(rows)).compile().as_text()
    (shape,) = set(re.findall(r"= f32\[(\d+),\d+\]\S* dot\(", program))
    assert int(shape) == (left or rows)
