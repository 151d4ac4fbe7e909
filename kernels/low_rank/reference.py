"""The low-rank path in plain jnp.

B rows, S tokens a row, N adapters of rank r.
"""

import jax
import jax.numpy as jnp


def low_rank_shares(x: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    """`low_rank` where the rows are N equal shares: one batched product per factor."""
    shares = x.reshape(len(a), -1, x.shape[-1])
    inner = jnp.einsum("nti,nir->ntr", shares, a.astype(x.dtype))
    return jnp.einsum("ntr,nro->nto", inner, b.astype(x.dtype)).reshape(*x.shape[:-1], -1)


def low_rank_rows(x: jax.Array, a: jax.Array, b: jax.Array, rows: jax.Array) -> jax.Array:
    """`low_rank` for any assignment of rows, in the form that reads less."""
    form = low_rank_gathered if len(x) < len(a) else low_rank_mixed
    return form(x, a, b, rows)


def low_rank_gathered(x: jax.Array, a: jax.Array, b: jax.Array, rows: jax.Array) -> jax.Array:
    """`low_rank_rows` for fewer rows than adapters: a copy of its factors for every row."""
    inner = jnp.einsum("bsi,bir->bsr", x, a[rows].astype(x.dtype))
    return jnp.einsum("bsr,bro->bso", inner, b[rows].astype(x.dtype))


def low_rank_mixed(x: jax.Array, a: jax.Array, b: jax.Array, rows: jax.Array) -> jax.Array:
    """`low_rank_rows` for many rows: all factors side by side, others' ranks zeroed.

    Gathering would copy an adapter's factors for each of its rows; this reads each once, at
    N times the (small) arithmetic.
    """
    inner = jnp.einsum("bsi,nir->bsnr", x, a.astype(x.dtype))
    own = jax.nn.one_hot(rows, len(a), dtype=x.dtype)
    return jnp.einsum("bsnr,nro->bso", inner * own[:, None, :, None], b.astype(x.dtype))
