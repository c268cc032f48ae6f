"""The three-way comparison of `apply`: what has to change. Pure.

Three sides: what was applied last time (in an annotation), what is applied now, and what is there. A field leaves
only when the last apply brought it; what the server or somebody else added stays. The result is a JSON merge
patch (RFC 7386): lists are replaced whole. Empty means there is nothing to write.
"""

from __future__ import annotations

import json
from typing import Any

LAST_APPLIED = "aerekos.cloud/last-applied"


def with_last_applied(document: dict[str, Any]) -> dict[str, Any]:
    """`document` carrying itself in the annotation, for the next apply to compare with."""
    meta = document.get("metadata") or {}
    annotations = {**(meta.get("annotations") or {}), LAST_APPLIED: canonical(document)}
    return {**document, "metadata": {**meta, "annotations": annotations}}


def canonical(document: dict[str, Any]) -> str:
    """One text for one meaning, whatever the order of keys."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def last_applied(live: dict[str, Any]) -> dict[str, Any]:
    """What the previous apply sent; empty when there was none or it cannot be read."""
    text = ((live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED, "{}")
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def apply_patch(document: dict[str, Any], live: dict[str, Any]) -> dict[str, Any]:
    """The merge patch that brings `live` to `document`. Empty: unchanged."""
    return three_way(last_applied(live), with_last_applied(document), live)


def three_way(last: dict[str, Any], wanted: dict[str, Any], live: dict[str, Any]) -> dict[str, Any]:
    """The patch from `live` to `wanted`, taking away what only `last` had."""
    patch: dict[str, Any] = {}
    for key, value in wanted.items():
        change = _change(last.get(key), value, live.get(key), present=key in live)
        if change is not _SAME:
            patch[key] = change
    for key in last:
        if key not in wanted and key in live and not _is_own(key):
            patch[key] = None
    return patch


_SAME = object()


def _change(last: Any, wanted: Any, live: Any, *, present: bool) -> Any:
    """What the patch says of one field, or `_SAME`."""
    if wanted is None:
        # In a merge patch null takes away; an absent field is already gone.
        return None if present else _SAME
    if isinstance(wanted, dict) and isinstance(live, dict):
        inner = three_way(last if isinstance(last, dict) else {}, wanted, live)
        return inner or _SAME
    if isinstance(wanted, dict):
        return without_nulls(wanted)
    return _SAME if present and _alike(wanted, live) else wanted


def _alike(wanted: Any, live: Any) -> bool:
    """Equal as JSON: 1 is 1.0, but True is not 1. In lists, what the server filled in does not count."""
    if isinstance(wanted, bool) or isinstance(live, bool):
        return wanted is live
    if isinstance(wanted, list) and isinstance(live, list):
        return len(wanted) == len(live) and all(_covers(a, b) for a, b in zip(wanted, live, strict=True))
    return bool(wanted == live)


def _covers(wanted: Any, live: Any) -> bool:
    """Whether `live` says everything `wanted` says: list items come back with defaults filled in."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        return all(key in live and _covers(value, live[key]) for key, value in wanted.items() if value is not None)
    return _alike(wanted, live)


def without_nulls(value: dict[str, Any]) -> dict[str, Any]:
    """Nulls mean "absent" in a merge patch, so they cannot be part of a new value."""
    kept = {key: each for key, each in value.items() if each is not None}
    return {key: without_nulls(each) if isinstance(each, dict) else each for key, each in kept.items()}


def _is_own(key: str) -> bool:
    return key == LAST_APPLIED
