"""What this API serves, in the legacy discovery form every client understands."""

from __future__ import annotations

from typing import Any

from crds.catalog import Catalog
from crds.kind import Kind

VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def api_versions() -> dict[str, Any]:
    """`GET /api`"""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def api_groups(catalog: Catalog) -> dict[str, Any]:
    """`GET /apis`"""
    groups = sorted({kind.group for kind in catalog if kind.group})
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [api_group(catalog, group) for group in groups]}


def api_group(catalog: Catalog, group: str) -> dict[str, Any]:
    """`GET /apis/{group}`"""
    versions = sorted({kind.version for kind in catalog if kind.group == group})
    served = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": group,
        "versions": served,
        "preferredVersion": served[-1] if served else {},
    }


def api_resources(catalog: Catalog, group: str, version: str) -> dict[str, Any] | None:
    """`GET /apis/{group}/{version}` or `/api/v1`; None when there is no such version."""
    kinds = [kind for kind in catalog if kind.group == group and kind.version == version and not kind.internal]
    if not kinds:
        return None
    resources = [entry for kind in sorted(kinds, key=lambda k: k.plural) for entry in _entries(kind)]
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}


def _entries(kind: Kind[Any]) -> list[dict[str, Any]]:
    entry: dict[str, Any] = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.name,
        "verbs": VERBS,
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    status = {
        "name": f"{kind.plural}/status",
        "singularName": "",
        "namespaced": kind.namespaced,
        "kind": kind.name,
        "verbs": ["get", "patch", "update"],
    }
    return [entry, status] if kind.has_status else [entry]
