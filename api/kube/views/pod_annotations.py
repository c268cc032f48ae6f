"""Labels and annotations that an instance gives its own pod, as members of a database tell each other who leads.

They are kept in the Service's status, with the start they were given after: what starts again says it anew. Names the
platform uses, and what the Service itself puts on its pods, cannot be given.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.auth.principal import Principal
from api.kube.views.view import Body
from crds.errors import Cause, Forbidden, Invalid
from crds.kinds.service import SERVICE
from crds.meta import ObjectKey
from crds.names import label_key_fault, label_value_fault

# Of one pod, and of all pods of a Service: they share its record.
MOST_LABELS, MOST_BYTES, MOST_BYTES_OF_ALL = 32, 8 * 1024, 256 * 1024
_PLATFORM = ("aerekos.cloud", "kubernetes.io", "k8s.io")
_TEMPLATE_HASH = "pod-template-hash"
_FIELDS = ("labels", "annotations")


def given(service: Body, instance: Body) -> dict[str, dict[str, str]]:
    """What that instance said of itself since it was started."""
    notes = ((service.get("status") or {}).get("instanceNotes") or {}).get(instance["name"]) or {}
    if (notes.get("startedAt"), notes.get("restarts", 0)) != (instance.get("startedAt"), instance.get("restarts", 0)):
        return {field: {} for field in _FIELDS}
    return {field: notes.get(field) or {} for field in _FIELDS}


def with_notes(service: Body, instance: Body, shown: Body, wanted: Body) -> Body:
    """The Service after a pod was edited from `shown` to `wanted`. Raises Invalid for anything but notes."""
    before = given(service, instance)
    notes: dict[str, dict[str, str]] = {}
    causes = [Cause(each, "Forbidden: only labels and annotations of a pod can be changed", "FieldValueForbidden")
              for each in _other_changes(shown, wanted)]  # fmt: skip
    for field in _FIELDS:
        old, new = _map(shown, field), _map(wanted, field)
        notes[field] = {name: value for name, value in new.items() if name in before[field] or old.get(name) != value}
        causes += _faults(field, old, new, before[field])
    if not causes:
        causes += _too_much(notes)
    _refuse(shown, causes)
    kept = {"startedAt": instance.get("startedAt"), "restarts": instance.get("restarts", 0), **notes}
    all_notes = {**(service["status"].get("instanceNotes") or {}), instance["name"]: kept}
    if sum(_size(each) for each in all_notes.values()) > MOST_BYTES_OF_ALL:
        text = f"Too long: all pods of a Service may have {MOST_BYTES_OF_ALL} bytes of them together"
        _refuse(shown, [Cause("metadata.annotations", text, "FieldValueTooLong")])
    return {**service, "status": {**service["status"], "instanceNotes": all_notes}}


def refuse_others(who: Principal, pod: ObjectKey, service: ObjectKey | None) -> None:
    """Raises Forbidden for a managed service, in its own name, at a pod that is no instance of it."""
    if who.service and not who.acting and service != SERVICE.key(who.service):
        raise Forbidden(f'pods "{pod.name}" is forbidden: "{who.name}" may only change its own pods', key=pod)


def _other_changes(shown: Body, wanted: Body) -> Iterator[str]:
    for name in sorted((shown.keys() | wanted.keys()) - {"metadata"}):
        if shown.get(name) != wanted.get(name):
            yield name
    before, after = shown["metadata"], wanted.get("metadata") or {}
    for name in sorted((before.keys() | after.keys()) - {*_FIELDS, "resourceVersion", "managedFields"}):
        if before.get(name) != after.get(name):
            yield f"metadata.{name}"


def _map(pod: Body, field: str) -> dict[str, Any]:
    found = (pod.get("metadata") or {}).get(field) or {}
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        cause = Cause(f"metadata.{field}", "Invalid value: must be an object of strings", "FieldValueTypeInvalid")
        raise Invalid(f"the pod is invalid: {cause.field}: {cause.message}", causes=(cause,))
    return found


def _faults(field: str, old: Body, new: Body, own: Body) -> Iterator[Cause]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) == new.get(name):
            continue
        place, short = f"metadata.{field}[{name[:100]}]", repr(name[:100])
        if _is_the_platforms(name):
            yield Cause(place, f"Forbidden: {short} is the platform's own", "FieldValueForbidden")
        elif name in old and name not in own:
            yield Cause(place, f"Forbidden: {short} is the Service's; change it there", "FieldValueForbidden")
        elif name in new and (fault := label_key_fault(name)):
            yield Cause(place, f"Invalid value: {short}: {fault}")
        elif name in new and field == "labels" and (fault := label_value_fault(new[name])):
            yield Cause(place, f"Invalid value: {new[name][:100]!r}: {fault}")


def _is_the_platforms(name: str) -> bool:
    prefix = name.partition("/")[0] if "/" in name else ""
    return name == _TEMPLATE_HASH or any(prefix == each or prefix.endswith(f".{each}") for each in _PLATFORM)


def _too_much(notes: dict[str, dict[str, str]]) -> Iterator[Cause]:
    if len(notes["labels"]) > MOST_LABELS:
        yield Cause("metadata.labels", f"Too many: must have at most {MOST_LABELS} items", "FieldValueTooMany")
    if _size(notes) > MOST_BYTES:
        text = f"Too long: a pod may have {MOST_BYTES} bytes of labels and annotations of its own"
        yield Cause("metadata.annotations", text, "FieldValueTooLong")


def _size(notes: Body) -> int:
    return sum(len(n.encode()) + len(v.encode()) for field in _FIELDS for n, v in (notes.get(field) or {}).items())


def _refuse(pod: Body, causes: list[Cause]) -> None:
    if causes:
        told = "; ".join(f"{each.field}: {each.message}" for each in causes)
        raise Invalid(f'Pod "{pod["metadata"]["name"]}" is invalid: {told}', causes=tuple(causes))
