"""Checks of hyperparameters that name the field, its value and what is allowed."""

from collections.abc import Sequence
from typing import Any


def one_of(settings: Any, field: str, allowed: Sequence[str]) -> None:
    """Raises ValueError unless the field holds one of the `allowed` words."""
    value = getattr(settings, field)
    if value not in allowed:
        offers = ", ".join(repr(word) for word in allowed)
        raise ValueError(f"{settings.name}: {field} is {value!r}; it must be one of {offers}")


def within(
    settings: Any, field: str, lowest: float | None = None, highest: float | None = None
) -> None:
    """Raises ValueError unless the field lies between the bounds (inclusive); None is no bound."""
    value = getattr(settings, field)
    low = lowest is not None and not value >= lowest
    high = highest is not None and not value <= highest
    if low or high:
        allowed = [
            f"at least {lowest}" if lowest is not None else "",
            f"at most {highest}" if highest is not None else "",
        ]
        wanted = " and ".join(part for part in allowed if part)
        raise ValueError(f"{settings.name}: {field} is {value!r}; it must be {wanted}")
