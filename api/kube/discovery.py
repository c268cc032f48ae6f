"""Discovery of what this API serves: the legacy documents every client understands, and all of it in one answer for
newer ones.

Source: Kubernetes API discovery, `meta/v1` APIResourceList and `apidiscovery.k8s.io/v2` APIGroupDiscoveryList.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from crds.kind import Kind, Subresource

Kinds = Iterable[Kind[Any]]
# A group without resources: by it, kubectl up to 1.20 knows that pods can be evicted and need not be deleted.
_BARE = {"policy": "v1"}
_VERSION = re.compile(r"v([1-9][0-9]{0,8})(?:(alpha|beta)([1-9][0-9]{0,8}))?")
_STABILITIES = ("", "beta", "alpha")
AGGREGATED = "APIGroupDiscoveryList"


def api_versions() -> dict[str, Any]:
    """`GET /api`"""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def api_groups(kinds: Kinds) -> dict[str, Any]:
    """`GET /apis`"""
    kinds = list(kinds)
    groups = sorted({kind.group for kind in kinds if kind.group} | set(_BARE))
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(kinds, group) for group in groups]}


def api_group(kinds: Kinds, group: str) -> dict[str, Any] | None:
    """`GET /apis/{group}`; None when there is no such group."""
    kinds = list(kinds)
    if not any(kind.group == group for kind in kinds) and group not in _BARE:
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(kinds, group)}


def api_resources(kinds: Kinds, group: str, version: str) -> dict[str, Any] | None:
    """`GET /apis/{group}/{version}` or `/api/v1`; None when there is no such version."""
    served = sorted((kind for kind in kinds if (kind.group, kind.version) == (group, version)), key=_by_plural)
    if not served and _BARE.get(group) != version:
        return None
    resources = [entry for kind in served for entry in _entries(kind)]
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}


def aggregated(kinds: Kinds, *, core: bool, version: str) -> dict[str, Any]:
    """`GET /api` (core) or `/apis` for clients that ask for everything at once. `version`: `v2` or `v2beta1`."""
    kinds = list(kinds)
    groups = [""] if core else sorted({kind.group for kind in kinds if kind.group} | set(_BARE))
    items = [
        {
            "metadata": {"name": group or None, "creationTimestamp": None},
            "versions": [
                {"version": each, "freshness": "Current", "resources": _described(kinds, group, each)}
                for each in _versions(kinds, group)
            ],
        }
        for group in groups
    ]
    return {"kind": AGGREGATED, "apiVersion": f"apidiscovery.k8s.io/{version}", "metadata": {}, "items": items}


def aggregated_version(accept: str) -> str | None:
    """The version of the aggregated form that Accept asks for first, or None for the legacy documents."""
    for part in accept.split(","):
        options = {option.strip() for option in part.split(";")}
        if f"as={AGGREGATED}" in options and "g=apidiscovery.k8s.io" in options:
            for version in ("v2", "v2beta1"):
                if f"v={version}" in options:
                    return version
        elif "application/json" in options and not any(option.startswith("as=") for option in options):
            return None
    return None


def _by_plural(kind: Kind[Any]) -> str:
    return kind.plural


def _versions(kinds: Kinds, group: str) -> list[str]:
    """The most stable first, and of those the newest: v10, v2, v1beta2, v1alpha1, other."""
    found = {kind.version for kind in kinds if kind.group == group}
    return sorted(found or {_BARE[group]}, key=_priority)


def _priority(version: str) -> tuple[int, int, int, str]:
    """What sorts before is preferred (Kubernetes "Version priority")."""
    found = _VERSION.fullmatch(version)
    if found is None:
        return (3, 0, 0, version)
    return (_STABILITIES.index(found[2] or ""), -int(found[1]), -int(found[3] or 0), "")


def _group(kinds: Kinds, group: str) -> dict[str, Any]:
    served = [{"groupVersion": f"{group}/{each}", "version": each} for each in _versions(kinds, group)]
    return {"name": group, "versions": served, "preferredVersion": served[0], "serverAddressByClientCIDRs": []}


def _entries(kind: Kind[Any]) -> list[dict[str, Any]]:
    entry: dict[str, Any] = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.name,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    return [entry, *(_sub_entry(kind, each) for each in kind.subresources)]


def _sub_entry(kind: Kind[Any], sub: Subresource) -> dict[str, Any]:
    entry = {
        "name": f"{kind.plural}/{sub.name}",
        "singularName": "",
        "namespaced": kind.namespaced,
        "kind": sub.kind,
        "verbs": list(sub.verbs),
    }
    if (sub.group, sub.version) not in (("", ""), (kind.group, kind.version)):
        entry |= {"group": sub.group, "version": sub.version}
    return entry


def _described(kinds: Kinds, group: str, version: str) -> list[dict[str, Any]]:
    return [
        {
            "resource": kind.plural,
            "responseKind": {"group": group, "version": version, "kind": kind.name},
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "singularResource": kind.singular,
            "verbs": list(kind.verbs),
            "shortNames": list(kind.short_names),
            "categories": list(kind.categories),
            "subresources": [
                {
                    "subresource": sub.name,
                    "responseKind": {
                        "group": sub.group or group,
                        "version": sub.version or version,
                        "kind": sub.kind,
                    },
                    "verbs": list(sub.verbs),
                }
                for sub in kind.subresources
            ],
        }
        for kind in sorted(kinds, key=_by_plural)
        if (kind.group, kind.version) == (group, version)
    ]
