"""The patches clients send, as edits the registry carries out on the newest version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from controller.resources.json_patch import json_patch
from controller.resources.merge_patch import merge_patch
from controller.resources.strategic_merge import strategic_merge
from crds.errors import BadRequest
from crds.schema import Schema

Edit = Callable[[dict[str, Any]], dict[str, Any]]
"""Gets a shared dict that it must not change. What it returns may name the version it was made for."""


def merging(patch: Any) -> Edit:
    """JSON merge patch (RFC 7386). Raises BadRequest when the patch is no object."""
    _require_object(patch)
    return lambda current: _for_any_version(merge_patch(current, patch), patch)


def merging_strategically(patch: Any, schema: Schema) -> Edit:
    """Strategic merge patch. Raises BadRequest when the patch is no object."""
    _require_object(patch)
    return lambda current: _for_any_version(strategic_merge(current, patch, schema), patch)


def patching_json(operations: Any) -> Edit:
    """JSON patch (RFC 6902). It may test the version; when it sets one, that must be the newest."""

    def edit(current: dict[str, Any]) -> dict[str, Any]:
        patched = json_patch(current, operations)
        if not isinstance(patched, dict) or not isinstance(patched.get("metadata"), dict):
            raise BadRequest("the JSON patch leaves no resource")
        return patched

    return edit


def _for_any_version(edited: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """A patch that names no version is meant for whatever is newest."""
    meta = edited.get("metadata")
    if not isinstance(meta, dict):
        raise BadRequest("metadata cannot be removed or replaced by something else")
    if "resourceVersion" not in (patch.get("metadata") or {}):
        edited["metadata"] = {**meta, "resourceVersion": ""}
    return edited


def _require_object(patch: Any) -> None:
    if not isinstance(patch, dict):
        raise BadRequest("a merge patch must be a JSON object")
    if not isinstance(patch.get("metadata", {}), dict):
        raise BadRequest("metadata must be a JSON object")
