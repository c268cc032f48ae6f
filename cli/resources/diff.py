"""`aerekos diff`: what `apply` would change, as the cloud would store it."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Sequence
from typing import Any

from cli.api_client import ApiClient
from cli.errors import Refused
from cli.output import as_yaml, complain, say
from cli.resources.apply import AppliedDocument, apply_one
from cli.resources.three_way_merge import LAST_APPLIED
from controller.main.errors import MISUSE, UserError

_MOVING = ("resourceVersion", "generation", "managedFields", "uid", "creationTimestamp")


def show_all(api: ApiClient, placed: Sequence[AppliedDocument]) -> bool:
    """Prints a unified diff for each that differs; whether any does. Raises UserError (2) when any is refused."""
    failed, differs = 0, False
    for each in placed:
        try:
            text = difference(api, each)
        except Refused as error:
            failed += 1
            complain(f"{each.document.where}: {each.title}: {error}")
            continue
        if text:
            differs = True
            say(text)
    if failed:
        raise UserError(
            f"{failed} of {len(placed)} would be refused", hint="correct what is named above", code=MISUSE
        )
    return differs


def difference(api: ApiClient, placed: AppliedDocument) -> str:
    """A unified diff of one document's resource; empty when nothing would change. Raises Refused."""
    live = _live(api, placed)
    after = apply_one(api, placed, dry_run=True).resource
    lines = difflib.unified_diff(
        _lines(live), _lines(after), f"{placed.title} (there)", f"{placed.title} (after apply)", lineterm=""
    )
    return "\n".join(lines)


def _live(api: ApiClient, placed: AppliedDocument) -> dict[str, Any]:
    try:
        found: dict[str, Any] = api.get(placed.path)
    except Refused as error:
        if error.status == 404:
            return {}
        raise
    return found


def _lines(resource: dict[str, Any]) -> list[str]:
    """Without what moves by itself."""
    if not resource:
        return []
    kept = copy.deepcopy(resource)
    kept.pop("status", None)
    meta = kept.get("metadata") or {}
    for name in _MOVING:
        meta.pop(name, None)
    annotations = meta.get("annotations") or {}
    annotations.pop(LAST_APPLIED, None)
    if not annotations:
        meta.pop("annotations", None)
    return as_yaml(kept).splitlines()
