"""Shapes come from a small set, so that a run compiles a bounded number of programs."""

SMALLEST = 16
PREFILL_BLOCK = 512
"""Most prompt tokens per row in one prefill call; longer prompts take several."""
PREFILL_ROWS = 8
"""Rows per prefill call, or the width if that is less: a row's bytes must not depend on how many
prompts are read with it."""


def power_bucket(size: int) -> int:
    """The smallest power of two that holds `size`, at least 16."""
    return max(SMALLEST, 1 << max(size - 1, 0).bit_length())


def length_bucket(size: int) -> int:
    """The smallest of 16, 24, 32, 48, 64, 96, 128, ... that holds `size`."""
    power = power_bucket(size)
    between = power * 3 // 4
    return between if power > SMALLEST and size <= between else power
