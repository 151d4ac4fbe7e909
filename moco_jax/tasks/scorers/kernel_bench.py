"""KernelBench (arXiv 2502.10517): is a rewritten module right, and how much faster?

Scoring compiles and times model-written code on a GPU, so it runs only where PyTorch sees one.
"""

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moco_jax.tasks import kernels
from moco_jax.tasks.code_answers import blocks
from moco_jax.tasks.items import Gold, Item
from moco_jax.tasks.markup import strip_thinking
from moco_jax.tasks.sandbox import Program, Result
from moco_jax.tasks.scorers.base import Content, Programmed, Scorer, left_to_a_program
from moco_jax.tasks.scorers.fields import raw_field

FULL_SPEED_UP = {1: 10.0, 2: 5.0, 3: 2.0}  # by level; beyond it a kernel earns no more
OTHER_FULL_SPEED_UP = 2.0
RIGHT = 0.25  # for a right module that is no faster
FASTER = 0.5  # for any speed-up, before what its size earns

LONGEST = 200_000
DEFINES = re.compile(r"^class ModelNew\b", re.MULTILINE)
ID = re.compile(r"l(\d+)_")


@dataclass(frozen=True)
class Measurement:
    """What running a rewritten module has shown; times in milliseconds, not positive for none."""

    compiled: bool
    correct: bool
    runtime_ms: float
    reference_ms: float


def speed_score(level: int, measured: Measurement) -> float:
    """0 for wrong, 0.25 for right, 0.5 to 1 for right and faster than the reference."""
    if not (measured.compiled and measured.correct):
        return 0.0
    if measured.runtime_ms <= 0.0 or measured.reference_ms <= 0.0:
        return RIGHT
    speed_up = measured.reference_ms / measured.runtime_ms
    if speed_up <= 1.0:
        return RIGHT
    full = FULL_SPEED_UP.get(level, OTHER_FULL_SPEED_UP)
    return FASTER + min(1.0 - FASTER, (1.0 - FASTER) * (speed_up - 1.0) / (full - 1.0))


def read(row: Mapping[str, Any]) -> Content:
    """A row `{input, level}`: the source of a module `Model`; the level may stand in the id."""
    source = raw_field(row, "input")
    level = row.get("level")
    if level is None and (found := ID.match(str(row.get("id", "")))) is not None:
        level = int(found.group(1))
    if not isinstance(level, int):
        raise ValueError("field 'level' must be a whole number, or 'id' start like l1_")
    return Content(source, (), Gold((), details={"level": level, "reference": source}))


def extract(item: Item, text: str) -> str | None:
    """The last code block that defines `ModelNew`, else the whole text if it does."""
    text = strip_thinking(text)[:LONGEST]
    fenced = [block.source + "\n" for block in blocks(text)]
    return next((found for found in (*reversed(fenced), text) if DEFINES.search(found)), None)


def canonical(item: Item, parsed: str) -> str:
    """The source without blanks at line ends."""
    return "\n".join(line.rstrip() for line in parsed.strip().split("\n"))


def require_cuda() -> None:
    """Raises a ValueError where PyTorch or a CUDA device is missing."""
    remedy = "score kernel_bench on a machine with an NVIDIA GPU and PyTorch for CUDA"
    if importlib.util.find_spec("torch") is None:
        raise ValueError(f"KernelBench needs PyTorch, which is not installed; {remedy}")
    import torch

    if not torch.cuda.is_available():
        raise ValueError(f"KernelBench needs a CUDA device, and PyTorch sees none; {remedy}")


def program(item: Item, gold: Gold, parsed: str) -> Program:
    """What measures the rewritten module against the original."""
    return kernels.program(gold.details["reference"], parsed)


def value(gold: Gold, result: Result) -> float:
    """What `speed_score` makes of a measurement."""
    return speed_score(gold.details["level"], Measurement(*kernels.measurement(result)))


SCORER = Scorer(
    read,
    extract,
    canonical,
    left_to_a_program,
    require_cuda,
    programmed=Programmed(program, value, gpu=True),
)
