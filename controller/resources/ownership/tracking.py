"""When ownership is recorded, and how a write changes it.

It begins with the first write that names its manager, or the first apply, and goes on from then: resources that
only our own reconcilers and nameless clients write carry none of it.
"""

from __future__ import annotations

from typing import Any

import orjson

from controller.resources.ownership.applying import apply, conflict_error
from controller.resources.ownership.fields import Fields, differences, fields_of
from controller.resources.ownership.managers import (
    Entry,
    Manager,
    Managers,
    read_managers,
    updated,
    write_managers,
)
from crds.errors import Invalid
from crds.kind import Kind
from crds.meta import ObjectKey

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
BEFORE, CLIENT_APPLY = "before-first-apply", "kubectl-client-side-apply"
Body = dict[str, Any]


def newborn(kind: Kind[Any], body: Body, manager: str, *, now: str) -> list[Body]:
    """`managedFields` of a resource `manager` has just created."""
    me = Manager(manager, "Update", kind.api_version)
    return write_managers({me: Entry(_main_fields(kind, body), now)})


def after_update(
    kind: Kind[Any], old: Body, new: Body, given: Any, manager: str, subresource: str, *, now: str
) -> list[Body] | None:
    """`managedFields` after `manager` made `new` out of `old`; None when the client asked to forget them.

    `given` is what the client sent as managedFields: `[{}]` forgets, a well-formed list replaces the record.
    """
    if given == [{}]:
        return None
    owners = _given(given) or owners_of(kind, old, now=now)
    changed, removed = differences(old, new, kind.schema)
    if changed or removed:
        owners = updated(owners, Manager(manager, "Update", kind.api_version, subresource), changed, removed, now=now)
    return write_managers(owners)


def applied_new(kind: Kind[Any], config: Body, manager: str, *, now: str) -> list[Body]:
    """`managedFields` of a resource that an apply created."""
    me = Manager(manager, "Apply", kind.api_version)
    return write_managers({me: Entry(_main_fields(kind, config), now)})


def applied(
    kind: Kind[Any],
    key: ObjectKey,
    live: Body,
    config: Body,
    manager: str,
    subresource: str,
    *,
    force: bool,
    now: str,
) -> Body:
    """`live` after the apply, managedFields included. Raises Conflict unless forced, Invalid without a manager."""
    me = Manager(manager, "Apply", kind.api_version, subresource)
    wanted = _part(kind, config, subresource)
    merged, owners, conflicts = apply(live, wanted, kind.schema, owners_of(kind, live, now=now), me, now=now)
    if conflicts and not force:
        raise conflict_error(conflicts, key)
    version = (config.get("metadata") or {}).get("resourceVersion") or ""
    meta = {**merged["metadata"], "managedFields": write_managers(owners), "resourceVersion": version}
    return {**merged, "metadata": meta}


def require_manager(manager: str) -> None:
    """Raises Invalid: an apply must say who applies."""
    if not manager:
        raise Invalid(
            'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
        )


def owners_of(kind: Kind[Any], body: Body, *, now: str) -> Managers:
    """The recorded owners; without a record, everything belongs to those who wrote before there was one."""
    recorded = body["metadata"].get("managedFields")
    if recorded:
        return read_managers(recorded)
    everything = fields_of(body, kind.schema)
    client = everything & _last_applied(kind, body)
    owners = {Manager(BEFORE, "Update", kind.api_version): Entry(everything - client, now)}
    if client:
        owners[Manager(CLIENT_APPLY, "Update", kind.api_version)] = Entry(client, now)
    return owners


def _last_applied(kind: Kind[Any], body: Body) -> Fields:
    """What `kubectl apply` says it sent: it gives those fields up when the same user applies on the server."""
    text = (body["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    try:
        sent = orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        return frozenset()
    if not isinstance(sent, dict) or not sent:
        return frozenset()
    return fields_of(sent, kind.schema) | {("f:metadata", "f:annotations", f"f:{LAST_APPLIED}")}


def _given(given: Any) -> Managers:
    try:
        return read_managers(given) if isinstance(given, list) else {}
    except ValueError:
        return {}


def _main_fields(kind: Kind[Any], body: Body) -> Fields:
    return fields_of(_part(kind, body, ""), kind.schema)


def _part(kind: Kind[Any], body: Body, subresource: str) -> Body:
    """What of `body` counts at that path: status alone at `/status`, everything else at the main one."""
    if subresource == "status":
        return {name: value for name, value in body.items() if name == "status"}
    if kind.has_status:
        return {name: value for name, value in body.items() if name != "status"}
    return body
