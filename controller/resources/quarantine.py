"""Stored records that this version cannot read, as after a rollback: set aside, told of, and in nobody else's way.

They stay in the store untouched, and clients see them as they are; control loops go on without them. A version that
can read them again finds them where they were.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from pydantic import ValidationError

from controller.store.records import Record
from crds.event_reasons import EventReason
from crds.kind import Kind, KubeObject
from crds.meta import ObjectKey, ObjectMeta

M = TypeVar("M", bound=KubeObject)
_LONGEST = 300
_log = structlog.get_logger(__name__)
Report = Callable[[KubeObject, str, str], None]
"""Called with what the record is about, the reason of an Event, and its message."""


class Quarantine:
    """Records that were met and could not be read, in their newest version."""

    def __init__(self) -> None:
        self._records: dict[ObjectKey, int] = {}
        self._reports: list[tuple[KubeObject, str]] = []
        self._report: Report | None = None

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, key: ObjectKey) -> bool:
        return key in self._records

    def report_to(self, report: Report) -> None:
        """What is found from now on is told there, and first what was found before."""
        self._report = report
        for about, message in self._reports:
            report(about, EventReason.UNREADABLE_RECORD, message)
        self._reports.clear()

    def read(self, kind: Kind[M], record: Record) -> M | None:
        """The typed form, kept with the record; None for one that cannot be read, which is set aside."""
        if isinstance(record.typed, kind.model):
            return record.typed
        if record.fault:
            self._set_aside(kind, record, record.fault)
            return None
        try:
            record.typed = kind.decode(record.body)
        except ValidationError as error:
            self._set_aside(kind, record, _words(error))
            return None
        self._records.pop(record.key, None)
        found: M = record.typed
        return found

    def release(self, key: ObjectKey) -> None:
        """The record is gone."""
        self._records.pop(key, None)

    def _set_aside(self, kind: Kind[Any], record: Record, why: str) -> None:
        if self._records.get(record.key) == record.revision:
            return
        self._records[record.key] = record.revision
        message = f"this version cannot read what is stored, and leaves it alone: {why}"
        _log.error(
            "a stored record cannot be read", resource=str(record.key), revision=record.revision, error=message
        )
        about = KubeObject(
            api_version=kind.api_version,
            kind=kind.name,
            metadata=ObjectMeta(name=record.key.name, namespace=record.key.namespace or None, uid=record.uid),
        )
        if self._report is not None:
            self._report(about, EventReason.UNREADABLE_RECORD, message)
        else:
            self._reports.append((about, message))


def _words(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    told = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in faults[:3])
    return told[:_LONGEST]
