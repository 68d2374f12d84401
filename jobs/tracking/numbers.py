"""The numbers in what a step returned."""

from collections.abc import Mapping
from typing import Any


def numbers_in(result: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """All numbers of a nested result, named by their path."""
    numbers: dict[str, float] = {}
    for name, value in result.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            numbers |= numbers_in(value, f"{path}.")
        elif isinstance(value, int | float):
            numbers[path] = float(value)
    return numbers
