"""Running a small program of ours that runs model-written code: in the sandbox or not at all."""

import json
from typing import Any


def run_isolated(source: str, stdin: str, seconds: float, gpu: bool = False) -> str | None:
    """What a Python program writes to stdout; None where it does not end well in time.

    Raises:
        ValueError: the program cannot be sandboxed here.
    """
    if gpu:
        raise ValueError(
            "the sandbox hides all devices, so model-written CUDA code is not run; measure such code "
            "on a machine kept for it and give the times to speed_score"
        )
    raise ValueError("model-written code is run in the sandbox alone, and there is none here")


def after_token(output: str | None, token: str) -> Any | None:
    """The JSON value on the last line that starts with the token; None where there is none."""
    lines = [line for line in (output or "").split("\n") if line.startswith(token)]
    try:
        return json.loads(lines[-1][len(token) :]) if lines else None
    except ValueError:
        return None
