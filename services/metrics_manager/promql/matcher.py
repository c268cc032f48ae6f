"""What a selector asks of one label."""

from __future__ import annotations

from typing import NamedTuple


class Matcher(NamedTuple):
    """`op`: `=`, `!=`, `=~` or `!~`; expressions match whole values."""

    name: str
    op: str
    value: str
