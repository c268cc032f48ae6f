"""Limit and Marker: a page of a sorted list. The marker is where the page before ended, in base64."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from services.sdk.aws.errors import AwsError


def page(items: Sequence[dict[str, Any]], by: str, request: dict[str, Any], limit: int) -> dict[str, Any]:
    """`{"items": [...], "Truncated": ..., "NextMarker"?: ...}`. Raises AwsError InvalidMarkerException."""
    rows = sorted(items, key=lambda row: str(row[by]))
    if marker := request.get("Marker"):
        after = _after(marker)
        rows = [row for row in rows if str(row[by]) > after]
    size = int(request.get("Limit") or limit)
    shown = rows[:size]
    answer: dict[str, Any] = {"items": shown, "Truncated": len(rows) > size}
    if answer["Truncated"]:
        answer["NextMarker"] = base64.urlsafe_b64encode(str(shown[-1][by]).encode()).decode()
    return answer


def _after(marker: str) -> str:
    try:
        return base64.urlsafe_b64decode(marker.encode()).decode()
    except (binascii.Error, ValueError):
        raise AwsError("InvalidMarkerException", "Could not parse the marker.") from None
