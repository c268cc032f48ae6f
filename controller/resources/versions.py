"""One resource, served in several versions of its kind: kept in one of them, and shown in whichever is asked for.

As with the conversion strategy `None` of Kubernetes, another version is another apiVersion, and nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from controller.resources.structural_schema import pruned, with_defaults
from controller.resources.validation import ValidatedObject
from controller.store.records import Record, Snapshot, StoreEvent
from crds.kind import Kind


def convert_record(kind: Kind[Any], record: Record) -> Record:
    """`record` in the version of `kind`."""
    if not kind.converted or record.object.get("apiVersion") == kind.api_version:
        return record
    body = {**record.object, "apiVersion": kind.api_version}
    return replace(record, body=orjson.dumps(body), values=body, typed=None)


def convert_snapshot(kind: Kind[Any], snapshot: Snapshot) -> Snapshot:
    """Every record of `snapshot` so."""
    if not kind.converted:
        return snapshot
    return Snapshot(snapshot.revision, [convert_record(kind, record) for record in snapshot.records])


def to_stored_version(stored: Kind[Any] | None, kind: Kind[Any], checked: ValidatedObject) -> ValidatedObject:
    """What was written in the version of `kind`, in the one it is kept in: of that, fields it knows."""
    if stored is None or stored.api_version == kind.api_version:
        return checked
    known, _ = pruned(checked.body, stored.schema, root=True)
    body = {**with_defaults(known, stored.schema), "apiVersion": stored.api_version}
    return ValidatedObject(body, checked.warnings)


def convert_event(kind: Kind[Any], event: StoreEvent) -> StoreEvent:
    """`event` in the version of `kind`."""
    before = event.before and convert_record(kind, event.before)
    return StoreEvent(convert_record(kind, event.record), before)
