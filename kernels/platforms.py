"""Where Pallas kernels run, and how a caller picks them."""

from collections.abc import Callable
from typing import Any

import jax
from jax.experimental.pallas import triton

TRITON = triton.CompilerParams(num_warps=8, num_stages=2)
"""How kernels are compiled for NVIDIA GPUs."""

MEASURED: frozenset[str] = frozenset()
"""Platforms ("cuda", "tpu") on whose devices the kernels have been run and found faster. Elsewhere
XLA compiles the reference: a kernel held to it by the interpreter alone may still fail there."""


def pick(
    reference: Callable[..., Any], cuda: Callable[..., Any], tpu: Callable[..., Any], *args: Any
) -> Any:
    """Calls the form that suits the platform of the program; over a mesh, the reference.

    Args:
        reference: the plain jnp form.
        cuda: the kernel for NVIDIA GPUs.
        tpu: the kernel for TPUs.
        *args: what each is called with, pytrees of arrays.

    Returns:
        What the form returns.
    """
    # Without an accelerator kernels are not even traced, which would take longer than the rest.
    if jax.default_backend() == "cpu" or not MEASURED:
        return reference(*args)
    # The compiler cannot cut a kernel: over a mesh it would gather all that the kernel reads.
    if not jax.sharding.get_abstract_mesh().empty:
        return reference(*args)
    kernels = {name: form for name, form in (("cuda", cuda), ("tpu", tpu)) if name in MEASURED}
    return jax.lax.platform_dependent(*args, default=reference, **kernels)
