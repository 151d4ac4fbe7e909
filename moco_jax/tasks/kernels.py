"""Measuring a rewritten PyTorch module in the sandbox."""

import pathlib

from moco_jax.tasks.sandbox import Limits, Program, run_programs

HARNESS = pathlib.Path(__file__).with_name("kernels_harness.py")
# CUDA reserves far more addresses than it uses; compiling needs processes and files of its own.
LIMITS = Limits(
    cpu_seconds=300,
    wall_seconds=300.0,
    memory_bytes=1 << 44,
    processes=256,
    file_bytes=256 << 20,
)
FAILED = (False, False, -1.0, -1.0)


def measure(
    reference: str, candidate: str, device: str = "cuda"
) -> tuple[bool, bool, float, float]:
    """(compiled, correct, milliseconds, milliseconds of the reference).

    Args:
        reference: source of the module `Model` with `get_inputs` and `get_init_inputs`.
        candidate: source of the module `ModelNew`, as a model wrote it.
        device: where PyTorch runs both.

    Returns:
        The measurement; `FAILED` where the program does not come to its end in 300 s.

    Raises:
        ValueError: programs cannot be sandboxed here, or the sandbox does not show the device.
    """
    call = f"measure({reference!r}, {candidate!r}, {device!r})"
    result = run_programs([Program((HARNESS.read_text(),), call, LIMITS)])[0]
    if result.status != "finished":
        return FAILED
    if not result.value:
        raise ValueError(
            "the sandbox shows no GPU, and CUDA code written by models is run nowhere else; "
            "measure it on a machine kept for that, and turn the times into values with speed_score"
        )
    compiled, correct, runtime_ms, reference_ms = result.value
    return bool(compiled), bool(correct), float(runtime_ms), float(reference_ms)
