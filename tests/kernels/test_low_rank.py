"""The low-rank path of a bank against one adapter at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.kernels import low_rank
from moco_jax.kernels.low_rank import pallas, reference

ROWS = jnp.array([0, 2, 1, 1, 0, 2])


def factors(tokens=1, wide=300, rank=6, out=520, adapters=3):
    keys = jax.random.split(jax.random.key(0), 3)
    return (
        jax.random.normal(keys[0], (len(ROWS), tokens, wide)),
        jax.random.normal(keys[1], (adapters, wide, rank)) / wide**0.5,
        jax.random.normal(keys[2], (adapters, rank, out)),
    )


def one_by_one(x, a, b, rows):
    return np.stack([np.asarray(row @ a[n] @ b[n]) for row, n in zip(x, rows, strict=True)])


@pytest.mark.parametrize("tokens", [1, 4])
def test_every_row_has_its_own_adapter(tokens):
    x, a, b = factors(tokens)
    np.testing.assert_allclose(low_rank(x, a, b, ROWS), one_by_one(x, a, b, ROWS), atol=1e-4)


def test_fewer_rows_than_adapters():
    x, a, b = factors(2)
    x, rows = x[:2], ROWS[:2]
    np.testing.assert_allclose(low_rank(x, a, b, rows), one_by_one(x, a, b, rows), atol=1e-4)


def test_equal_shares_need_no_rows():
    x, a, b = factors(2)
    shares = np.repeat(np.arange(3), 2)
    np.testing.assert_allclose(low_rank(x, a, b), one_by_one(x, a, b, shares), atol=1e-4)


@pytest.mark.parametrize("kernel", [pallas.low_rank_cuda, pallas.low_rank_tpu])
@pytest.mark.parametrize(("wide", "rank", "out"), [(300, 6, 520), (17, 1, 3)])
def test_kernels_agree_with_the_reference(kernel, wide, rank, out):
    x, a, b = factors(1, wide, rank, out)
    found = kernel(x, a, b, ROWS, interpret=True)
    np.testing.assert_allclose(found, reference.low_rank_mixed(x, a, b, ROWS), atol=1e-4)


def test_narrow_kernels_keep_their_dtype():
    x, a, b = (array.astype(jnp.bfloat16) for array in factors(1, 64, 8, 32))
    found = pallas.low_rank_cuda(x, a, b, ROWS, interpret=True)
    expected = one_by_one(*(np.asarray(array, np.float32) for array in (x, a, b)), ROWS)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(found, np.float32), expected, atol=0.1)
