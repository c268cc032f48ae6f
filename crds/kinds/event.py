"""Event: something that happened to a resource, told for people (Kubernetes core/v1 Event)."""

from __future__ import annotations

from typing import Any

from crds.kind import Column, Kind, KubeObject
from crds.model import MicroTimestamp, Model, Timestamp


class ObjectReference(Model):
    """Which resource the event is about."""

    kind: str | None = None
    namespace: str | None = None
    name: str | None = None
    uid: str | None = None
    api_version: str | None = None
    resource_version: str | None = None
    field_path: str | None = None


class EventSource(Model):
    component: str | None = None
    host: str | None = None


class EventSeries(Model):
    count: int | None = None
    last_observed_time: MicroTimestamp | None = None


class Event(KubeObject):
    """`type` is `Normal` or `Warning`; `count` says how often the same thing happened since `firstTimestamp`."""

    involved_object: ObjectReference
    reason: str | None = None
    message: str | None = None
    type: str | None = None
    source: EventSource | None = None
    first_timestamp: Timestamp | None = None
    last_timestamp: Timestamp | None = None
    count: int | None = None
    event_time: MicroTimestamp | None = None
    series: EventSeries | None = None
    action: str | None = None
    related: ObjectReference | None = None
    reporting_component: str | None = None
    reporting_instance: str | None = None


def _about(event: dict[str, Any]) -> str:
    about = event["involvedObject"]
    return f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"


def _last_seen(event: dict[str, Any]) -> str | None:
    """Newer recorders tell of a series, and leave the older times out."""
    seen = (event.get("series") or {}).get("lastObservedTime")
    found: str | None = seen or event.get("lastTimestamp") or event.get("eventTime") or event.get("firstTimestamp")
    return found


def _count(event: dict[str, Any]) -> int:
    return (event.get("series") or {}).get("count") or event.get("count") or 1


def _told_by(event: dict[str, Any]) -> str | None:
    return (event.get("source") or {}).get("component") or event.get("reportingComponent")


EVENT = Kind(
    name="Event",
    plural="events",
    group="",
    singular="event",
    short_names=("ev",),
    model=Event,
    has_status=False,
    selectable=(
        *(f"involvedObject.{field}" for field in ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath")),
        "reason",
        "type",
        "source.component",
        "reportingComponent",
    ),
    description="Something that happened to a resource. Kept for an hour.",
    columns=(
        Column("Last Seen", "", type="date", read=_last_seen),
        Column("Type", "type"),
        Column("Reason", "reason"),
        Column("Object", "", read=_about),
        Column("Message", "message"),
        Column("Count", "", type="integer", priority=1, read=_count),
        Column("Source", "", priority=1, read=_told_by),
    ),
)
