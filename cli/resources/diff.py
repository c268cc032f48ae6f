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

MOVING = ("resourceVersion", "generation", "managedFields", "uid", "creationTimestamp")


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
    live = live_object(api, placed.path)
    after = apply_one(api, placed, dry_run=True).resource
    return differing_lines(live, after, f"{placed.title} (there)", f"{placed.title} (after apply)")


def differing_lines(before: dict[str, Any], after: dict[str, Any], old: str, new: str) -> str:
    """A unified diff of two states of a resource ({} for none), without what moves by itself and without status."""
    return "\n".join(difflib.unified_diff(_lines(before), _lines(after), old, new, lineterm=""))


def live_object(api: ApiClient, path: str) -> dict[str, Any]:
    """The resource at that path as it is; {} when there is none. Raises Refused."""
    try:
        found: dict[str, Any] = api.get(path)
    except Refused as error:
        if error.status == 404:
            return {}
        raise
    return found


def _lines(resource: dict[str, Any]) -> list[str]:
    return as_yaml(wished(resource)).splitlines() if resource else []


def wished(resource: dict[str, Any]) -> dict[str, Any]:
    """A copy without status and without what moves by itself: what somebody wants of it."""
    kept = copy.deepcopy(resource)
    kept.pop("status", None)
    meta = kept.get("metadata") or {}
    for name in MOVING:
        meta.pop(name, None)
    annotations = meta.get("annotations") or {}
    annotations.pop(LAST_APPLIED, None)
    if not annotations:
        meta.pop("annotations", None)
    return kept
