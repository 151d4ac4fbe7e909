"""Shapes come from a small set, so that a run compiles a bounded number of programs."""

SMALLEST = 16
PREFILL_BLOCK = 512
"""Most prompt tokens per row in one prefill call; longer prompts take several."""
PREFILL_ROWS = 8
"""Most rows in one prefill call."""


def prefill_rows(width: int) -> int:
    """Rows in every prefill call of a program of this width, and free slots worth a refill.

    It never follows from how many prompts wait, on which a row's bytes must not depend. Few, so
    that slots need not wait for each other; not one, so that the product fills the machine.
    """
    return max(1, min(PREFILL_ROWS, width // 4))


def power_bucket(size: int) -> int:
    """The smallest power of two that holds `size`, at least 16."""
    return max(SMALLEST, 1 << max(size - 1, 0).bit_length())


def length_bucket(size: int) -> int:
    """The smallest of 16, 24, 32, 48, 64, 96, 128, ... that holds `size`."""
    power = power_bucket(size)
    between = power * 3 // 4
    return between if power > SMALLEST and size <= between else power
