"""Create, update and delete strategy: what a resource becomes by a write. Whoever calls knows the time."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from controller.admission.request import Requester
from controller.resources.invariants import (
    check_finalizers,
    check_identity,
    check_immutable,
    content,
    default_empty,
    nothing_changed,
    same_labels,
    status_only,
    with_each_owner_once,
    with_identity,
    with_keepers,
    with_name_label,
)
from controller.resources.managed_fields import tracking
from controller.resources.validation import FieldValidation, ValidatedObject, check_bounds, check_metadata, validate
from crds.kind import Kind
from crds.meta import SERVER_OWNED, ObjectKey

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


class WriteOptions(NamedTuple):
    """Options of a write: by whom, how strictly, and whether only as a rehearsal.

    `manager` is the program that owns the fields it sets; `named` says that it gave its name itself, with which
    the record of owners begins. `user` is whom admission asks about; without one it is the conductor's own write.
    """

    by: str
    dry_run: bool = False
    validation: FieldValidation = "Warn"
    manager: str = ""
    named: bool = False
    user: Requester | None = None


def prepare_create(
    kind: Kind[Any],
    key: ObjectKey,
    body: dict[str, Any],
    options: WriteOptions,
    owners: list[dict[str, Any]] | None = None,
    *,
    now: str,
) -> ValidatedObject:
    """A resource that was not there before, with `owners` of its fields if they are known. Raises Invalid."""
    meta = {**body["metadata"]}
    for name in SERVER_OWNED:
        meta.pop(name, None)
    if kind.namespaced:
        meta["namespace"] = key.namespace
    else:
        meta.pop("namespace", None)
    meta, doubled = with_each_owner_once(meta)
    check_metadata(kind, meta, key)
    check_bounds(kind, meta, None, key)
    meta = with_name_label(kind, with_keepers(kind, meta), key.name)
    meta |= {"uid": str(uuid.uuid4()), "generation": 1, "creationTimestamp": now}
    whole = {**body, "apiVersion": kind.api_version, "kind": kind.name, "metadata": meta}
    if kind.has_status:
        whole.pop("status", None)
        default_empty(kind, whole)
    result = validate(kind, whole, options.validation)
    if options.named and owners is None:
        owners = tracking.after_create(kind, result.body, options.manager, now=now)
    if owners:
        result.body["metadata"]["managedFields"] = owners
    return result._replace(warnings=(*doubled, *result.warnings))


def prepare_update(
    kind: Kind[Any],
    key: ObjectKey,
    old: dict[str, Any],
    new: dict[str, Any],
    options: WriteOptions,
    subresource: str,
    *,
    owners_known: bool,
    now: Callable[[], str],
) -> ValidatedObject | None:
    """The kept form of `new` in place of `old`, or None when nothing is different.

    With `owners_known`, `new` says itself who owns its fields. Raises BadRequest, Conflict, Invalid.
    """
    check_identity(kind, key, old, new)
    whole = status_only(kind, old, new) if subresource == "status" else _main_only(kind, old, new)
    given = (new.get("metadata") or {}).get("managedFields")
    identified = with_identity(whole["metadata"], old["metadata"])
    whole["metadata"], doubled = with_each_owner_once(identified)
    whole["metadata"] = with_name_label(kind, whole["metadata"], key.name)
    if not old["metadata"].get("deletionTimestamp"):
        whole["metadata"] = with_keepers(kind, whole["metadata"])
    check_finalizers(kind, key, old, whole["metadata"], options.by)
    result = validate(kind, whole, options.validation, old)
    if owners_known or options.named or "managedFields" in old["metadata"]:
        owners = given
        if not owners_known:
            manager = options.manager or options.by
            owners = tracking.after_update(kind, old, result.body, given, manager, subresource, now=now)
        if owners:
            result.body["metadata"]["managedFields"] = owners
    if nothing_changed(result.body, old):
        return None
    check_immutable(kind, key, old, result.body)
    if result.body["metadata"] != old["metadata"]:  # what was there before may stay as it is
        check_bounds(kind, result.body["metadata"], old["metadata"], key)
        if not same_labels(result.body["metadata"], old["metadata"]):
            check_metadata(kind, result.body["metadata"], key)
    if content(result.body, kind) != content(old, kind):
        result.body["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
    return result._replace(warnings=(*doubled, *result.warnings)) if doubled else result


def mark_deleted(kind: Kind[Any], old: dict[str, Any], propagation: str, now: str) -> dict[str, Any]:
    """`old` with its deletion asked for; `old` itself when it was asked for before."""
    if old["metadata"].get("deletionTimestamp"):
        return old
    meta = dict(with_keepers(kind, old["metadata"]))
    extra = {"Foreground": FOREGROUND, "Orphan": ORPHAN}.get(propagation)
    finalizers = list(meta.get("finalizers") or [])
    if extra and extra not in finalizers:
        meta["finalizers"] = [*finalizers, extra]
    meta |= {"deletionTimestamp": now, "deletionGracePeriodSeconds": 0}
    meta["generation"] = meta.get("generation", 0) + 1
    return {**old, "metadata": meta}


def _main_only(kind: Kind[Any], old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    whole = {
        **new,
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": dict(new.get("metadata") or {}),
    }
    if kind.has_status:
        if "status" in old:
            whole["status"] = old["status"]
        else:
            whole.pop("status", None)
        default_empty(kind, whole)
    return whole
