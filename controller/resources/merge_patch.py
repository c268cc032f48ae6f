"""JSON merge patch (RFC 7386). JSON patch and server-side apply get their own rooms beside this one."""

from __future__ import annotations

from typing import Any


def merge_patch(target: Any, patch: Any) -> Any:
    """`target` with `patch` laid over it: null removes, objects merge, everything else replaces.

    Neither argument is changed; untouched parts of `target` are shared with the result.
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def merge_diff(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The smallest merge patch that turns `before` into `after` (which must hold no nulls)."""
    patch: dict[str, Any] = {}
    for name in before.keys() | after.keys():
        if name not in after:
            patch[name] = None
        elif name not in before:
            patch[name] = after[name]
        elif isinstance(before[name], dict) and isinstance(after[name], dict):
            if nested := merge_diff(before[name], after[name]):
                patch[name] = nested
        elif before[name] != after[name]:
            patch[name] = after[name]
    return patch
