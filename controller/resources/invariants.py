"""Invariants of every write of a resource: identity, versions, finalizers, and what counts as a change. Pure."""

from __future__ import annotations

from typing import Any

from controller.resources.managed_fields.managers import same_ownership
from crds.errors import BadRequest, Cause, Conflict, Forbidden, Invalid
from crds.kind import Kind
from crds.meta import SERVER_OWNED, ObjectKey

_NOT_TAKEN = SERVER_OWNED | {"namespace", "name"}
_IDENTITY = _NOT_TAKEN - {"managedFields"}


def default_empty(kind: Kind[Any], whole: dict[str, Any]) -> None:
    """A status (and a spec with only optional fields) that was left out means an empty one."""
    for name in ("spec", "status"):
        if whole.get(name) is None:
            whole.pop(name, None)
            field = kind.model.model_fields.get(name)
            if field is not None and not field.is_required():
                whole[name] = {}


def status_only(kind: Kind[Any], old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """`old` with the status of `new`, or without one."""
    whole = {**old, "metadata": dict(old["metadata"])}
    if new.get("status") is None:
        whole.pop("status", None)
        default_empty(kind, whole)
        return whole
    return {**whole, "status": new["status"]}


def content(body: dict[str, Any], kind: Kind[Any]) -> dict[str, Any]:
    """The content that counts for the generation: everything but metadata and (where it is a subresource) status."""
    rest = {**body}
    rest.pop("metadata", None)
    if kind.has_status:
        rest.pop("status", None)
    return rest


def nothing_changed(new: dict[str, Any], old: dict[str, Any]) -> bool:
    """When an owner took over a field is not worth a new version."""
    if new == old:
        return True
    mine, theirs = new["metadata"].get("managedFields"), old["metadata"].get("managedFields")
    if not mine or not theirs:
        return False
    rest = {**new, "metadata": {**new["metadata"], "managedFields": theirs}}
    return rest == old and same_ownership(mine, theirs)


def with_identity(meta: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """Metadata as a client wants it, but what the server owns as it is in `old`; without owners of fields."""
    wanted = {name: value for name, value in meta.items() if name not in _NOT_TAKEN and value is not None}
    return wanted | {name: value for name, value in old.items() if name in _IDENTITY}


def with_each_owner_once(meta: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """`meta` without owner references that stand twice, and what to tell whoever sent them."""
    owners = meta.get("ownerReferences")
    if not isinstance(owners, list) or len(owners) < 2:
        return meta, ()
    once = [each for n, each in enumerate(owners) if each not in owners[:n]]
    if len(once) == len(owners):
        return meta, ()
    told = ".metadata.ownerReferences contains duplicate entries; each is kept once"
    return {**meta, "ownerReferences": once}, (told,)


def same_labels(new: dict[str, Any], old: dict[str, Any]) -> bool:
    """Whether `check_metadata` would find what it found in `old`: a name stays what it is."""
    return new.get("labels") == old.get("labels") and new.get("annotations") == old.get("annotations")


def with_keepers(kind: Kind[Any], meta: dict[str, Any]) -> dict[str, Any]:
    """`meta` with the finalizers that every resource of the kind has."""
    there = meta.get("finalizers") or []
    missing = [each for each in kind.keepers if each not in there]
    return {**meta, "finalizers": [*there, *missing]} if missing else meta


def with_name_label(kind: Kind[Any], meta: dict[str, Any], name: str) -> dict[str, Any]:
    """`meta` with the label by which selectors know it, whatever a client made of that label."""
    labels = meta.get("labels")
    if not kind.name_label or (labels is not None and not isinstance(labels, dict)):
        return meta
    return {**meta, "labels": {**(labels or {}), kind.name_label: name}}


def can_be_removed(body: dict[str, Any]) -> bool:
    """Whether its deletion was asked for, and nobody holds it back."""
    meta = body["metadata"]
    return bool(meta.get("deletionTimestamp")) and not meta.get("finalizers")


def check_identity(kind: Kind[Any], key: ObjectKey, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raises BadRequest when the body speaks of another resource, Conflict of another version of it."""
    check_place(kind, key, new)
    meta = new.get("metadata") or {}
    check_preconditions(key, old, meta.get("uid"), meta.get("resourceVersion"))


def check_place(kind: Kind[Any], key: ObjectKey, new: dict[str, Any]) -> None:
    """Raises BadRequest when the body speaks of another resource than the URL."""
    meta = new.get("metadata") or {}
    if meta.get("name") not in (None, "", key.name):
        raise BadRequest(f"the name of the object ({meta['name']}) does not match the name on the URL ({key.name})")
    if kind.namespaced and meta.get("namespace") not in (None, "", key.namespace):
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    for field, value in (("apiVersion", kind.api_version), ("kind", kind.name)):
        if new.get(field) not in (None, "", value):
            raise BadRequest(f"{field} in the body ({new[field]}) is not the one of the URL ({value})")


def check_preconditions(key: ObjectKey, old: dict[str, Any], uid: str | None, version: str | None) -> None:
    """Raises Conflict, in the words clients know, when the uid or version is not the newest one's."""
    meta = old["metadata"]
    resource = f"{key.plural}.{key.group}" if key.group else key.plural
    lead = f'Operation cannot be fulfilled on {resource} "{key.name}": '
    if uid and uid != meta.get("uid"):
        raise Conflict(f"{lead}the UID in the request ({uid}) is not the stored one ({meta.get('uid')})", key=key)
    if version and version != meta.get("resourceVersion"):
        raise Conflict(
            f"{lead}the object has been modified; please apply your changes to the latest version and try again",
            key=key,
        )


def check_finalizers(kind: Kind[Any], key: ObjectKey, old: dict[str, Any], meta: dict[str, Any], by: str) -> None:
    """Raises Invalid when a dying resource is given new finalizers, Forbidden when `by` may not take one away."""
    if not old["metadata"].get("deletionTimestamp"):
        return
    _check_keepers(kind, key, old, meta, by)
    added = set(meta.get("finalizers") or []) - set(old["metadata"].get("finalizers") or [])
    if added:
        cause = Cause(
            "metadata.finalizers",
            f"Forbidden: no new finalizers can be added if the object is being deleted, found {sorted(added)}",
            "FieldValueForbidden",
        )
        raise Invalid(f'{kind.resource} "{key.name}" is invalid: {cause.field}: {cause.message}', key=key,
                      causes=(cause,))  # fmt: skip


def _check_keepers(kind: Kind[Any], key: ObjectKey, old: dict[str, Any], meta: dict[str, Any], by: str) -> None:
    held = set(old["metadata"].get("finalizers") or []) & set(kind.keepers)
    taken = sorted(held - set(meta.get("finalizers") or []))
    if taken and by != kind.keeper:
        text = f"only {kind.keeper} takes the finalizer {taken[0]} away, once nothing would be lost"
        raise Forbidden(f'{kind.resource} "{key.name}" is forbidden: {text}', key=key)


def check_immutable(kind: Kind[Any], key: ObjectKey, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raises Invalid when a config map or secret that was closed for good is given other content."""
    if old.get("immutable") is not True or "immutable" not in kind.model.model_fields:
        return
    changed = [name for name, value in content(old, kind).items() if new.get(name) != value]
    changed += sorted(content(new, kind).keys() - old.keys())
    if changed:
        text = "Forbidden: field is immutable when `immutable` is set"
        causes = tuple(Cause(name, text, "FieldValueForbidden") for name in changed)
        raise Invalid(f'{kind.name} "{key.name}" is invalid: {changed[0]}: {text}', key=key, causes=causes)
