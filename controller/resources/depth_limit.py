"""The limit on nesting. What is deeper than this can neither be walked nor written out again."""

from __future__ import annotations

from typing import Any

MOST_LEVELS = 100
"""Of a resource. JSON is written 254 levels deep at most, and what is kept is wrapped again: in tables, documents."""
MOST_SENT_LEVELS = 200
"""Of what clients send: a resource with its owners, which lie as deep as it does and a little deeper."""


def may_be_deeper_than(text: bytes, levels: int) -> bool:
    """Whether that JSON begins enough objects and lists: most begin too few, and need no walk."""
    return text.count(b"{") + text.count(b"[") > levels


def deeper_than(value: Any, levels: int) -> bool:
    """Whether objects and lists lie in each other more than `levels` deep."""
    if not isinstance(value, dict | list):
        return False
    if levels == 0:
        return True
    inner = value.values() if isinstance(value, dict) else value
    return any(deeper_than(each, levels - 1) for each in inner if isinstance(each, dict | list))
