"""Tracking of field ownership: when it is recorded, and how a write changes it.

It begins with the first write that names its manager, or the first apply, and goes on from then: resources that
only our own reconcilers and nameless clients write carry none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from controller.resources.managed_fields.applying import apply, conflict_error
from controller.resources.managed_fields.fields import NONE, Fields, differences, fields_of
from controller.resources.managed_fields.managers import (
    Entry,
    Manager,
    Managers,
    are_its_own,
    read_managers,
    updated,
    write_managers,
)
from crds.errors import Invalid
from crds.kind import Kind
from crds.meta import ObjectKey

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
BEFORE, CLIENT_APPLY, KUBECTL = "before-first-apply", "kubectl-client-side-apply", "kubectl"
Body = dict[str, Any]


def after_create(kind: Kind[Any], body: Body, manager: str, *, now: str) -> list[Body]:
    """`managedFields` of a resource `manager` has just created."""
    me = Manager(manager, "Update", kind.api_version)
    return write_managers({me: Entry(_main_fields(kind, body), now)})


def after_update(
    kind: Kind[Any], old: Body, new: Body, given: Any, manager: str, subresource: str, *, now: Callable[[], str]
) -> list[Body] | None:
    """`managedFields` after `manager` made `new` out of `old`; None when the client asked to forget them.

    `given` is what the client sent as managedFields: `[{}]` forgets, a well-formed list replaces the record.
    """
    if given == [{}]:
        return None
    recorded = old["metadata"].get("managedFields")
    sent = _given(given) if given != recorded else {}
    owners = sent or owners_of(kind, old, now=now)
    changed, removed = differences(old, new, kind.schema)
    me = Manager(manager, "Update", kind.api_version, subresource)
    if recorded and not sent and not removed and are_its_own(owners, me, changed):
        return list(recorded)  # most writes change again what their manager has owned all along
    if changed or removed:
        owners = updated(owners, me, changed, removed, now=now())
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
    before = _in_one_version(owners_of(kind, live, now=lambda: now), me)
    merged, owners, conflicts = apply(live, wanted, kind.schema, before, me, now=now)
    if conflicts and not force and not _given_up(kind, live, manager, conflicts.values()):
        raise conflict_error(conflicts, key)
    version = (config.get("metadata") or {}).get("resourceVersion") or ""
    meta = {**merged["metadata"], "managedFields": write_managers(owners), "resourceVersion": version}
    whole = {**merged, "metadata": meta}
    return whole if subresource else _noted(whole, config, manager)


def _in_one_version(managers: Managers, me: Manager) -> Managers:
    """Who applies is the same applier in whichever version of the kind it did so before."""
    version = me.api_version
    return {me if each._replace(api_version=version) == me else each: entry for each, entry in managers.items()}


def require_manager(manager: str) -> None:
    """Raises Invalid: an apply must say who applies."""
    if not manager:
        raise Invalid(
            'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
        )


def owners_of(kind: Kind[Any], body: Body, *, now: Callable[[], str]) -> Managers:
    """The recorded owners; without a record, everything belongs to those who wrote before there was one."""
    recorded = body["metadata"].get("managedFields")
    if recorded:
        return read_managers(recorded)
    everything, began = fields_of(body, kind.schema), now()
    client = everything & _last_applied(kind, body)
    owners = {Manager(BEFORE, "Update", kind.api_version): Entry(everything - client, began)}
    if client:
        owners[Manager(CLIENT_APPLY, "Update", kind.api_version)] = Entry(client, began)
    return owners


def _given_up(kind: Kind[Any], live: Body, manager: str, conflicts: Iterable[Fields]) -> bool:
    """Whether kubectl takes on the server only what it applied itself before, and nobody changed since.

    Who goes over to server-side apply needs no force, as with the apiserver (`fieldmanager/lastappliedmanager.go`).
    """
    if manager != KUBECTL:
        return False
    changed_since, _ = differences(live, _sent(live), kind.schema)
    return NONE.union(*conflicts) <= _last_applied(kind, live) - changed_since


def _noted(body: Body, config: Body, manager: str) -> Body:
    """With the annotation the next client-side apply compares with, where there is one already."""
    annotations = body["metadata"].get("annotations") or {}
    if manager != KUBECTL or LAST_APPLIED not in annotations:
        return body
    text = orjson.dumps(config, option=orjson.OPT_SORT_KEYS).decode()
    return {**body, "metadata": {**body["metadata"], "annotations": {**annotations, LAST_APPLIED: text}}}


def _last_applied(kind: Kind[Any], body: Body) -> Fields:
    """What `kubectl apply` says it sent: it gives those fields up when the same user applies on the server."""
    sent = _sent(body)
    return fields_of(sent, kind.schema) | {("f:metadata", "f:annotations", f"f:{LAST_APPLIED}")} if sent else NONE


def _sent(body: Body) -> Body:
    text = (body["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    try:
        sent = orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        return {}
    return sent if isinstance(sent, dict) else {}


def _given(given: Any) -> Managers:
    try:
        return read_managers(given) if isinstance(given, list) else {}
    except (ValueError, TypeError):  # numbers that JSON cannot say
        return {}


def _main_fields(kind: Kind[Any], body: Body) -> Fields:
    return fields_of(_part(kind, body, ""), kind.schema)


def _part(kind: Kind[Any], body: Body, subresource: str) -> Body:
    """What of `body` counts at that path: status alone at `/status`, no metadata at `/scale`, else all but status."""
    if subresource == "scale":
        return {name: value for name, value in body.items() if name != "metadata"}
    if subresource == "status":
        return {name: value for name, value in body.items() if name == "status"}
    if kind.has_status:
        return {name: value for name, value in body.items() if name != "status"}
    return body
