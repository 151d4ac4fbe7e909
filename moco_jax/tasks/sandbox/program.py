"""What is run in the sandbox, under which limits, and what comes back."""

from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["finished", "died", "timeout", "flooded"]


class SandboxError(ValueError):
    """Programs cannot be run here; the message names the reason and the remedy."""


@dataclass(frozen=True)
class Limits:
    """What one program may use.

    Attributes:
        cpu_seconds: of each process.
        wall_seconds: of the whole program, from its first line on.
        memory_bytes: address space of each process.
        processes: processes and threads at one time.
        file_bytes: of each file; all files together have twice that.
        output_bytes: printed to stdout and stderr together.
        descriptors: files open at one time in each process.
    """

    cpu_seconds: int = 10
    wall_seconds: float = 15.0
    memory_bytes: int = 512 << 20
    processes: int = 8
    file_bytes: int = 8 << 20
    output_bytes: int = 1 << 20
    descriptors: int = 64


@dataclass(frozen=True)
class Program:
    """Python sources that share one namespace, and the expression that ends them.

    Attributes:
        parts: sources, run in this order in one module called `solution`, which has `sys` and `os`.
        expression: evaluated after them; its value comes back as JSON. What stands here is known
            to the program only while it is evaluated.
        limits: what the program may use.
        gpu: it measures code on an NVIDIA GPU, so it sees the devices, the driver and compilers,
            and runs while no other program does; docs/sandbox.md says what that opens.
    """

    parts: tuple[str, ...]
    expression: str = "None"
    limits: Limits = Limits()
    gpu: bool = False


@dataclass(frozen=True)
class Result:
    """What became of a program.

    Attributes:
        status: `finished` only where every part ran to its end and the expression had a value;
            `died` for exceptions, exits and crashes, `timeout` and `flooded` for broken limits.
        value: of the expression, None unless finished.
        output: the end of what was printed, tracebacks included.
    """

    status: Status
    value: Any
    output: str
