"""Amounts as Kubernetes writes them: `500m` CPU, `256Mi` memory, `30s`.

Source: kubernetes.io "Quantity" (decimal SI and binary suffixes) and Go's duration text.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator

_SUFFIXES = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}
_QUANTITY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([eE][+-]?\d{1,2}|[numkMGTPE]|[KMGTPE]i|)")
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")


def parse_quantity(text: str) -> Decimal:
    """The number `text` stands for: cores for CPU, bytes for memory.

    Raises ValueError for anything that is not a Kubernetes quantity, and for negative amounts.
    """
    found = _QUANTITY.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not a quantity; write e.g. '500m', '2', '256Mi' or '1.5G'")
    number, suffix = found.groups()
    if suffix not in _SUFFIXES:
        return Decimal(number + suffix)
    return Decimal(number) * _SUFFIXES[suffix]


def format_bytes(count: int) -> str:
    """Bytes for a person: the largest binary suffix that leaves a number of at least one."""
    for suffix in ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki"):
        unit = int(_SUFFIXES[suffix])
        if count >= unit:
            return f"{count / unit:.1f}".removesuffix(".0") + suffix
    return str(count)


def parse_duration(text: str) -> float:
    """Seconds in `1h30m`, `45s`, `0.5s`, `7d`. Raises ValueError for anything else."""
    found = _DURATION.fullmatch(text)
    if not text or not found:
        raise ValueError(f"{text!r} is not a duration; write e.g. '30s', '5m', '1h30m' or '7d'")
    days, hours, minutes, seconds = found.groups(default="0")
    return int(days) * 86400 + int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _checked_quantity(text: str) -> str:
    parse_quantity(text)
    return text


def _checked_duration(text: str) -> str:
    parse_duration(text)
    return text


Quantity = Annotated[str, AfterValidator(_checked_quantity)]
Duration = Annotated[str, AfterValidator(_checked_duration)]
