"""Measuring a rewritten PyTorch module in the sandbox."""

import pathlib

from moco_jax.tasks.sandbox import Limits, Program, Result

HARNESS = pathlib.Path(__file__).with_name("kernels_harness.py")
# CUDA reserves far more addresses than it uses; compiling needs processes and files of its own.
LIMITS = Limits(
    cpu_seconds=300,
    wall_seconds=300.0,
    memory_bytes=1 << 44,
    processes=256,
    file_bytes=256 << 20,
    descriptors=1024,
)
FAILED = (False, False, -1.0, -1.0)


def program(reference: str, candidate: str, device: str = "cuda") -> Program:
    """What measures a module.

    Args:
        reference: source of the module `Model` with `get_inputs` and `get_init_inputs`.
        candidate: source of the module `ModelNew`, as a model wrote it.
        device: where PyTorch runs both.
    """
    call = f"measure({reference!r}, {candidate!r}, {device!r})"
    return Program((HARNESS.read_text(),), call, LIMITS, gpu=device != "cpu")


def measurement(result: Result) -> tuple[bool, bool, float, float]:
    """(compiled, correct, milliseconds, milliseconds of the reference) of a program that ran.

    Returns:
        The measurement; `FAILED` where the program did not come to its end in 300 s.

    Raises:
        ValueError: PyTorch saw no device in the sandbox.
    """
    if result.status != "finished":
        return FAILED
    if not result.value:
        raise ValueError(
            "PyTorch sees no CUDA device where programs are run; docs/sandbox.md lists what of the "
            "GPU is shown there"
        )
    compiled, correct, runtime_ms, reference_ms = result.value
    return bool(compiled), bool(correct), float(runtime_ms), float(reference_ms)
