"""Whole numbers that somebody else wrote. `int` raises for 5,000 digits, and takes digits of every script."""

from __future__ import annotations


def whole_number(text: str, most: int = 2**63 - 1) -> int | None:
    """The number from 0 to `most` that `text` is; None when it is something else."""
    if len(text) > len(str(most)) or not (text.isascii() and text.isdigit()):
        return None
    return number if (number := int(text)) <= most else None
