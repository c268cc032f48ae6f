"""`aerekos describe`: one resource for people, with its conditions and what happened to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cli.api_client import ApiClient
from cli.errors import Refused
from cli.resources.events import by_time, event_grid
from cli.resources.kinds import Served
from cli.resources.three_way_merge import LAST_APPLIED
from cli.tables import grid

_HIDDEN = ("managedFields", "selfLink", "name", "namespace", "labels", "annotations")


def describe(api: ApiClient, kind: Served, namespace: str | None, name: str) -> str:
    """The whole page."""
    resource = api.get(kind.path(namespace, name))
    return page(resource, kind.kind, _events(api, resource))


def page(resource: dict[str, Any], kind: str, events: list[dict[str, Any]]) -> str:
    """Pure: a resource and its events as text."""
    meta, status = resource.get("metadata", {}), dict(resource.get("status") or {})
    conditions = status.pop("conditions", None) or []
    lines = [f"Name:       {meta.get('name', '')}", f"Kind:       {kind}"]
    if meta.get("namespace"):
        lines.append(f"Namespace:  {meta['namespace']}")
    lines += _pairs("Labels", meta.get("labels"))
    lines += _pairs("Annotations", {k: v for k, v in (meta.get("annotations") or {}).items() if k != LAST_APPLIED})
    sections = {
        "Metadata": {key: value for key, value in meta.items() if key not in _HIDDEN},
        **{title(key): value for key, value in resource.items() if key not in _OWN},
        "Status": status,
    }
    for heading, section in sections.items():
        if section not in ({}, None, []):
            lines += (
                [f"{heading}:", *_tree(section, 1)]
                if isinstance(section, (dict, list))
                else [f"{heading}: {section}"]
            )
    lines += ["Conditions:", _indented(_conditions(conditions))]
    lines += ["Events:", _indented(event_grid(events))]
    return "\n".join(lines)


_OWN = ("apiVersion", "kind", "metadata", "status")


def title(key: str) -> str:
    """`readyReplicas` as `Ready Replicas`."""
    spaced = "".join(f" {letter}" if letter.isupper() else letter for letter in key)
    return spaced[:1].upper() + spaced[1:]


def _tree(value: Any, depth: int) -> Iterator[str]:
    space = "  " * depth
    if isinstance(value, dict):
        for key, each in value.items():
            if isinstance(each, (dict, list)) and each:
                yield f"{space}{title(key)}:"
                yield from _tree(each, depth + 1)
            else:
                yield f"{space}{title(key)}: {_plain(each)}"
        return
    for each in value:
        if isinstance(each, (dict, list)):
            inner = list(_tree(each, depth + 1))
            yield f"{space}- {inner[0].lstrip()}" if inner else f"{space}-"
            yield from inner[1:]
        else:
            yield f"{space}- {_plain(each)}"


def _plain(value: Any) -> str:
    if value in (None, {}, []):
        return "<none>"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _pairs(heading: str, pairs: dict[str, str] | None) -> list[str]:
    return [f"{heading}:", *(f"  {key}={value}" for key, value in sorted(pairs.items()))] if pairs else []


def _conditions(conditions: list[dict[str, Any]]) -> str:
    rows = [[each.get(key, "") for key in ("type", "status", "reason", "message")] for each in conditions]
    return grid(["TYPE", "STATUS", "REASON", "MESSAGE"], rows) if rows else "<none>"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _events(api: ApiClient, resource: dict[str, Any]) -> list[dict[str, Any]]:
    uid = resource.get("metadata", {}).get("uid", "")
    try:
        found = api.get("/api/v1/events", params={"fieldSelector": f"involvedObject.uid={uid}"})["items"]
    except Refused:
        return []  # who may not list events still sees the resource
    return by_time(found)
