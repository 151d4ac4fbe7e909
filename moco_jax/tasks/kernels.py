"""Measuring a rewritten PyTorch module on the GPU, in the sandbox."""

import json
import pathlib
import secrets

from moco_jax.tasks.isolated import after_token, run_isolated

HARNESS = pathlib.Path(__file__).with_name("kernels_harness.py")
SECONDS = 300.0
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
    """
    token = secrets.token_hex(16)
    task = {"reference": reference, "candidate": candidate, "device": device, "token": token}
    output = run_isolated(HARNESS.read_text(), json.dumps(task), SECONDS, gpu=device != "cpu")
    found = after_token(output, token)
    if not isinstance(found, list) or len(found) != len(FAILED):
        return FAILED
    compiled, correct, runtime_ms, reference_ms = found
    return bool(compiled), bool(correct), float(runtime_ms), float(reference_ms)
