"""Lifecycles at work: what their rules say is over goes, some pages of versions at a time.

A pass over a bucket begins when its rules change, and each hour: they count in days. Where it stands is remembered in
memory; after a restart it begins anew, which finds the same. What is locked stays, whatever a rule says.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import groupby, pairwise
from typing import Any

from anyio import to_thread

from services.storage_manager.configuration.documents import Document
from services.storage_manager.configuration.lifecycle_rules import (
    Subject,
    current_expiry,
    noncurrent_expiry,
    removes_lone_markers,
    upload_expiry,
)
from services.storage_manager.configuration.object_lock import require_deletable
from services.storage_manager.errors import S3Error
from services.storage_manager.metadata import MetadataIndex, Object
from services.storage_manager.notifications.object_events import ObjectEvents, lifecycle_origin

log = logging.getLogger(__name__)
LIFECYCLE, KIND = "lifecycle", "LifecycleExpiration"
PASS_SECONDS, PAGE, PAGES_AT_ONCE = 3600.0, 1000, 10
Change = Callable[[], Any]
Commit = Callable[[Change], Awaitable[Any]]


@dataclass(slots=True)
class _Pass:
    """How far a pass is: the next key to look at, None when it is over. `at`: when it began."""

    document: Document
    at: float
    next: str | None = ""


class Expiration:
    """`commit` runs a change of the index, and returns once it is durable; `events` are told of those of objects."""

    def __init__(self, metadata: MetadataIndex, commit: Commit, events: ObjectEvents | None = None) -> None:
        self._metadata, self._commit = metadata, commit
        self._events = events or ObjectEvents(metadata)
        self._passes: dict[str, _Pass] = {}

    async def advance(self, bucket: str, now: datetime) -> bool:
        """Do a part of the pass that is due, if one is. Whether there is more to do at once."""
        document = self._metadata.configuration(bucket, LIFECYCLE)
        if document is None:
            self._passes.pop(bucket, None)
            return False
        found = self._passes.get(bucket)
        if found is None or found.document != document or found.at + PASS_SECONDS <= now.timestamp():
            found = self._passes[bucket] = _Pass(document, now.timestamp())
            await self._abort_uploads(bucket, document, now)
        for _ in range(PAGES_AT_ONCE):
            if found.next is None:
                return False
            found.next = await self._page(bucket, document, found.next, now)
        return found.next is not None

    async def _page(self, bucket: str, document: Document, begin: str, now: datetime) -> str | None:
        """One page of keys with all their versions. The key to go on from."""
        versions = await to_thread.run_sync(self._metadata.version_page, bucket, (begin, None), True, PAGE)
        keys = [list(each) for _, each in groupby(versions, key=lambda each: each.key)]
        if len(versions) == PAGE:
            last = keys.pop()[0].key  # it may have more
            if not keys:
                keys, last = [await self._all_versions(bucket, last)], f"{last}\0"
        else:
            last = None
        for each in keys:
            for change in self._due(bucket, document, each, now):
                await self._apply(change)
        return last

    async def _all_versions(self, bucket: str, key: str) -> list[Object]:
        found: list[Object] = []
        version: str | None = None
        while True:
            after = (key, version)
            page = await to_thread.run_sync(self._metadata.version_page, bucket, after, version is None, PAGE)
            own = [each for each in page if each.key == key]
            found += own
            if len(own) < PAGE:
                return found
            version = own[-1].version

    def _due(self, bucket: str, document: Document, versions: list[Object], now: datetime) -> Iterator[Change]:
        """Changes for one key, whose versions come newest first."""
        index, newest = self._metadata, versions[0]
        for newer, (successor, each) in enumerate(pairwise(versions)):
            expiry = noncurrent_expiry(document, _subject(each, successor.modified), newer)
            if expiry is not None and expiry.at <= now:
                yield self._ended(bucket, each, now)
        if newest.marker:
            if len(versions) == 1 and removes_lone_markers(document, _subject(newest, newest.modified), now):
                yield self._ended(bucket, newest, now)
            return
        expiry = current_expiry(document, _subject(newest, newest.modified))
        if expiry is not None and expiry.at <= now:
            check = _same(newest) if index.versioning(bucket) else _still(newest, now)
            yield self._events.removal(bucket, newest.key, lifecycle_origin(), check, KIND)

    def _ended(self, bucket: str, found: Object, now: datetime) -> Change:
        """That version goes for good."""
        gone = partial(self._metadata.remove_version, bucket, found.key, found.version, _still(found, now))
        return self._events.of(bucket, f"{KIND}:Delete", lifecycle_origin(), gone)

    async def _abort_uploads(self, bucket: str, document: Document, now: datetime) -> None:
        for each in await to_thread.run_sync(self._metadata.uploads, bucket, ""):
            expiry = upload_expiry(document, Subject(each.key, _moment(each.created)))
            if expiry is not None and expiry.at <= now:
                await self._apply(partial(self._metadata.abort, each))

    async def _apply(self, change: Change) -> None:
        try:
            await self._commit(change)
            if getattr(change, "recorded", False):
                self._events.wake()
        except S3Error as refused:
            log.debug("a lifecycle leaves what it found: %s", refused)


def _subject(found: Object, since: float) -> Subject:
    return Subject(found.key, _moment(since), found.size, found.attributes.get("tags", {}))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _same(expected: Object) -> Callable[[Object | None], None]:
    """The check that nothing has come in its place meanwhile. A delete marker on top of it destroys nothing."""

    def check(found: Object | None) -> None:
        if found is None or found.sequence != expected.sequence:
            raise S3Error("PreconditionFailed", f"{expected.key} is another one by now")

    return check


def _still(expected: Object, now: datetime) -> Callable[[Object | None], None]:
    """The same, and that it may be destroyed."""
    same = _same(expected)

    def check(found: Object | None) -> None:
        same(found)
        attributes = found.attributes if found is not None else {}
        hold = attributes.get("legal-hold") or {}
        require_deletable(attributes.get("retention"), on_hold=hold.get("Status") == "ON", now=now, bypass=False)

    return check
