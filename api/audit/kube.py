"""A line of the audit log as an Event of audit.k8s.io/v1, which collectors made for Kubernetes read."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote


def event_of(line: dict[str, Any]) -> dict[str, Any]:
    """The Event. Its auditID is the request's id, as a UUID."""
    event: dict[str, Any] = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": line.get("level", "Metadata"),
        "auditID": _uuid(str(line.get("requestId", ""))),
        "stage": line.get("stage", "ResponseComplete"),
        "requestURI": quote(str(line.get("path", "")), safe="/:@")
        + (f"?{line['query']}" if line.get("query") else ""),
        "verb": line.get("verb") or str(line.get("method", "")).lower(),
        "user": {"username": line.get("by") or line.get("user", ""), "groups": line.get("groups", [])},
        "sourceIPs": [line["from"]] if line.get("from") else [],
        "userAgent": line.get("userAgent", ""),
        "responseStatus": {"metadata": {}, "code": line.get("code", 0)},
        "requestReceivedTimestamp": _micro(line.get("received") or line["time"]),
        "stageTimestamp": _micro(line["time"]),
        "annotations": _annotations(line),
    }
    if line.get("by"):
        # Kubernetes' user is who proved themselves; whom they acted for is apart.
        event["user"]["groups"] = []
        event["impersonatedUser"] = {"username": line.get("user", ""), "groups": line.get("groups", [])}
    if line.get("objectRef"):
        event["objectRef"] = line["objectRef"]
    for name in ("requestObject", "responseObject"):
        if name in line:
            event[name] = line[name]
    return event


def event_list(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The body a webhook backend is sent."""
    return {
        "kind": "EventList",
        "apiVersion": "audit.k8s.io/v1",
        "metadata": {},
        "items": [event_of(x) for x in lines],
    }


def _annotations(line: dict[str, Any]) -> dict[str, str]:
    told = {
        "authorization.k8s.io/decision": line.get("decision", ""),
        "authorization.k8s.io/reason": line.get("reason", ""),
        "aerekos.cloud/action": line.get("action", ""),
        "aerekos.cloud/resource": line.get("resource", ""),
        "aerekos.cloud/access-key": line.get("accessKey", ""),
        "aerekos.cloud/login": line.get("login", ""),
        "aerekos.cloud/session": line.get("sid", ""),
        "aerekos.cloud/sequence": line.get("seq", ""),
        "aerekos.cloud/chain": line.get("chain", ""),
        "aerekos.cloud/count": line.get("count", ""),
    }
    return {**line.get("annotations", {}), **{name: str(value) for name, value in told.items() if value}}


def _uuid(id: str) -> str:
    hex = hashlib.sha256(id.encode()).hexdigest()
    return f"{hex[:8]}-{hex[8:12]}-{hex[12:16]}-{hex[16:20]}-{hex[20:32]}"


def _micro(moment: str) -> str:
    return moment if "." in moment else moment.replace("Z", ".000000Z")
