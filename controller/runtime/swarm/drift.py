"""Drift: where a Swarm service differs from its desired spec. Pure.

Docker fills in defaults we did not ask for, so only what the wish names is compared; within it, an empty value and
an absent one are the same. Lists must be equal as a whole: a variable somebody added by hand is drift too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def differences(wanted: Mapping[str, Any], seen: Mapping[str, Any]) -> list[str]:
    """Paths that differ: `["Mode.Replicated.Replicas"]`. Empty means converged."""
    return list(_walk("", wanted, seen))


def _walk(path: str, wanted: Any, seen: Any) -> Iterator[str]:
    if isinstance(wanted, Mapping) and isinstance(seen, Mapping | None):
        there = seen or {}
        for key, value in wanted.items():
            yield from _walk(f"{path}.{key}" if path else key, value, there.get(key))
    elif _several(wanted) and _several(seen) and len(wanted) == len(seen):
        for index, (ours, theirs) in enumerate(zip(wanted, seen, strict=True)):
            yield from _walk(f"{path}[{index}]", ours, theirs)
    elif (wanted or seen) and wanted != seen:
        yield path


def _several(value: Any) -> bool:
    return isinstance(value, list | tuple)
