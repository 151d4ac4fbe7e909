"""Running programs that a model wrote: nothing they do may pass for success or cause harm.

docs/sandbox.md says what is claimed, what is not, and what it needs.
"""

from moco_jax.tasks.sandbox.program import Limits, Program, Result, SandboxError
from moco_jax.tasks.sandbox.runner import RunPrograms, require_sandbox, run_programs

__all__ = [
    "Limits",
    "Program",
    "Result",
    "RunPrograms",
    "SandboxError",
    "require_sandbox",
    "run_programs",
]
