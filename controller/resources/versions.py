"""One resource, served in several versions of its kind: kept in one of them, and shown in whichever is asked for.

As with the conversion strategy `None` of Kubernetes, another version is another apiVersion, and nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from controller.resources.structural import pruned, with_defaults
from controller.resources.validating import Checked
from controller.store.records import Record, Snapshot, StoreEvent
from crds.kind import Kind


def shown_as(kind: Kind[Any], record: Record) -> Record:
    """`record` in the version of `kind`."""
    if not kind.converted or record.object.get("apiVersion") == kind.api_version:
        return record
    body = {**record.object, "apiVersion": kind.api_version}
    return replace(record, body=orjson.dumps(body), values=body, typed=None)


def all_shown_as(kind: Kind[Any], snapshot: Snapshot) -> Snapshot:
    """Every record of `snapshot` so."""
    if not kind.converted:
        return snapshot
    return Snapshot(snapshot.revision, [shown_as(kind, record) for record in snapshot.records])


def kept_as(stored: Kind[Any] | None, kind: Kind[Any], checked: Checked) -> Checked:
    """What was written in the version of `kind`, in the one it is kept in: of that, fields it knows."""
    if stored is None or stored.api_version == kind.api_version:
        return checked
    known, _ = pruned(checked.body, stored.schema, root=True)
    body = {**with_defaults(known, stored.schema), "apiVersion": stored.api_version}
    return Checked(body, checked.warnings)


def happened_as(kind: Kind[Any], happening: StoreEvent) -> StoreEvent:
    """`happening` in the version of `kind`."""
    before = happening.before and shown_as(kind, happening.before)
    return StoreEvent(shown_as(kind, happening.record), before)
