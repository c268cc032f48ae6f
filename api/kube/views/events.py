"""Events as `events.k8s.io/v1` spells them: the same resources as core/v1's, by the name newer recorders use.

Source: Kubernetes `pkg/apis/core/v1/conversion`, `pkg/apis/core/validation/events.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from api.kube.views.schemas import number, text, thing
from api.kube.views.view import Body, ViewObject
from controller.resources.selectors import field_at
from crds.errors import Cause, Invalid
from crds.kind import Column, Kind
from crds.kinds.event import EVENT
from crds.meta import ObjectKey

# What each field is called here, and in what is stored; all others are called the same.
_STORED = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_SHOWN = {stored: shown for shown, stored in _STORED.items()}
_REQUIRED = ("eventTime", "reportingController", "reportingInstance", "action", "reason", "type")
_OLD = tuple(name for name in _STORED if name.startswith("deprecated"))
_CHANGEABLE = frozenset({"apiVersion", "kind", "metadata", "series"})
_ABOUT = ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath")
_REFERENCE = thing("", **dict.fromkeys((*_ABOUT, "resourceVersion"), text()))


def _stored(body: Body) -> Body:
    return {_STORED.get(name, name): value for name, value in body.items()}


def _column(column: Column) -> Column:
    """The same cell, of an event in these words."""

    def read(event: Body) -> Any:
        event = _stored(event)
        return column.read(event) if column.read else field_at(event, column.path)

    return replace(column, read=read)


EVENT_V1: Kind[Any] = Kind(
    name="Event",
    plural="events",
    group="events.k8s.io",
    singular="event",
    short_names=("ev",),
    model=ViewObject,
    has_status=False,
    selectable=(*(f"regarding.{field}" for field in _ABOUT), "reason", "type", "reportingController"),
    description="Something that happened to a resource. Kept for an hour.",
    given_schema=thing(
        eventTime=text("When it happened first."),
        series=thing("How often it happened since.", count=number(), lastObservedTime=text()),
        reportingController=text("Who tells of it."),
        reportingInstance=text("Which copy of that."),
        action=text("What was done."),
        reason=text("Why."),
        regarding=_REFERENCE,
        related=_REFERENCE,
        note=text("In words for people."),
        type=text("Normal or Warning."),
        deprecatedSource=thing("", component=text(), host=text()),
        deprecatedFirstTimestamp=text(),
        deprecatedLastTimestamp=text(),
        deprecatedCount=number(),
    ),
    columns=tuple(map(_column, EVENT.columns)),
)


class Events:
    """Everything that is stored as a core/v1 Event, whoever wrote it by which name."""

    kind, source, part = EVENT_V1, EVENT, ""

    def show(self, resource: Body) -> Iterable[Body]:
        shown = {_SHOWN.get(name, name): value for name, value in resource.items()}
        # Owners of fields are told by the names of what is stored.
        shown["metadata"] = {n: value for n, value in resource["metadata"].items() if n != "managedFields"}
        shown |= {"apiVersion": EVENT_V1.api_version, "kind": EVENT_V1.name}
        # Typed clients insist on a time, which those of core/v1 may lack.
        if not shown.get("eventTime") and (first := resource.get("firstTimestamp")):
            shown["eventTime"] = first.replace("Z", ".000000Z")
        yield shown

    def holder(self, key: ObjectKey) -> Iterable[ObjectKey]:
        return (EVENT.key(key.name, key.namespace),)

    def back(self, resource: Body, shown: Body, wanted: Body) -> Body:
        """Only the series and metadata of an event change. Raises Invalid."""
        changed = sorted(n for n in (shown.keys() | wanted.keys()) - _CHANGEABLE if shown.get(n) != wanted.get(n))
        _refuse(wanted, [Cause(name, "Invalid value: field is immutable") for name in changed])
        whole = {**resource, "metadata": wanted["metadata"], "series": wanted.get("series")}
        return {name: value for name, value in whole.items() if value is not None}

    def born(self, body: Body) -> Body:
        """The body to store of a new event. Raises Invalid for one that lacks what a recorder knows."""
        _refuse(body, list(_faults(body)))
        head = {"apiVersion": EVENT.api_version, "kind": EVENT.name}
        return {"involvedObject": {}, **_stored(body), **head}

    def stored_selector(self, fields: str) -> str:
        parts = [each.partition("=") for each in fields.split(",") if each]
        return ",".join(_stored_path(path) + sign + value for path, sign, value in parts)


def _stored_path(path: str) -> str:
    negated = "!" if path.endswith("!") else ""
    head, dot, rest = path.removesuffix("!").strip().partition(".")
    return _STORED.get(head, head) + dot + rest + negated


def _faults(body: Body) -> Iterator[Cause]:
    for name in _REQUIRED:
        if not body.get(name):
            yield Cause(name, "Required value", "FieldValueRequired")
    if body.get("type") not in (None, "", "Normal", "Warning"):
        yield Cause("type", f"Invalid value: {body['type']!r}: must be Normal or Warning")
    for name in _OLD:
        if body.get(name):
            yield Cause(name, "Invalid value: needs to be unset")


def _refuse(body: Body, causes: list[Cause]) -> None:
    if causes:
        told = "; ".join(f"{each.field}: {each.message}" for each in causes)
        name = (body.get("metadata") or {}).get("name", "")
        raise Invalid(f'Event.events.k8s.io "{name}" is invalid: {told}', causes=tuple(causes))
