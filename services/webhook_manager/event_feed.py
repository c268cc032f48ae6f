"""Kubernetes Events that go out: those of an endpoint's namespace that its filter wants, each version of one once.

Followed from where it was left, over restarts: the revision is written with the messages. While no endpoint wants
Events, none are followed.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from datetime import datetime
from typing import Any

import anyio

from crds.errors import ApiError, Expired
from crds.kinds.event import EVENT, Event
from services.sdk.group_commit import GroupCommitter
from services.sdk.resources import Clock, Resources
from services.webhook_manager import message_store as store
from services.webhook_manager.directory import Directory
from services.webhook_manager.kinds import WEBHOOK_ENDPOINT, EventFilter, WebhookEndpoint
from services.webhook_manager.message import Draft
from services.webhook_manager.outbox import Outbox
from services.webhook_manager.payloads import Occurrence, draft_of

CURSOR = "events"
TYPE = "aerekos.event"
_NOTED_SECONDS = 30.0
_AGAIN_SECONDS = 2.0
log = logging.getLogger("webhook_manager")


class EventFeed:
    """One per process. `own`: the service's own resources."""

    def __init__(
        self, own: Resources, committer: GroupCommitter, directory: Directory, outbox: Outbox, clock: Clock
    ) -> None:
        self._own, self._committer, self._directory = own, committer, directory
        self._outbox, self._clock = outbox, clock
        self._noted_at = float("-inf")

    async def run(self) -> None:
        """Until cancelled."""
        await self._directory.synced()
        while True:
            if not self._wanting():
                await self._committer.submit(lambda db: store.set_cursor(db, CURSOR, None))
                await self._until_wanted()
            try:
                await self._follow()
            except (ApiError, OSError) as error:
                log.info("events are followed again: %s", error)
            except sqlite3.Error:
                log.exception("events are not written")
            await anyio.sleep(_AGAIN_SECONDS)

    async def _follow(self) -> None:
        """Until the connection ends, or nobody wants them any more. Raises ApiError, OSError, sqlite3.Error."""
        after = await self._committer.submit(lambda db: store.cursor(db, CURSOR))
        if after is None:
            after = (await self._own.list(EVENT)).revision
            await self._note(after)
        try:
            async with self._own.watch(EVENT, after=after) as changes:
                async for each in changes:
                    if each.type in ("ADDED", "MODIFIED"):
                        await self._take(each.object)
                    await self._note(each.revision, seldom=True)
                    if not self._wanting():
                        return
        except Expired:
            await self._catch_up()

    async def _catch_up(self) -> None:
        """What is too old to be watched is listed: of each Event the version it has now."""
        listing = await self._own.list(EVENT)
        for each in listing.items:
            await self._take(each)
        await self._note(listing.revision)

    async def _take(self, event: Event) -> None:
        wanting = [each for each in self._wanting() if _is_wanted(event, each)]
        for endpoint in wanting:  # each by itself: one that is full keeps nothing from the others
            draft = _draft(event, endpoint, self._clock.now())
            try:
                await self._outbox.put([draft], is_news=False)
            except ApiError as full:
                log.warning("an event is not sent: %s", full.message, extra={"fields": {"receiver": draft.to}})

    async def _note(self, revision: int, *, seldom: bool = False) -> None:
        """Up to where they were read. What was read and not noted is read again, and known by its id."""
        now = self._clock.monotonic()
        if seldom and now - self._noted_at < _NOTED_SECONDS:
            return
        self._noted_at = now
        await self._committer.submit(lambda db: store.set_cursor(db, CURSOR, revision))

    def _wanting(self) -> list[WebhookEndpoint]:
        return [each for each in self._directory.endpoints.all() if each.spec.events is not None]

    async def _until_wanted(self) -> None:
        news = anyio.Event()

        def noticed(change: str, resource: Any, before: Any) -> None:
            news.set()

        stop = self._directory.endpoints.listen(noticed)
        try:
            while not self._wanting():
                await news.wait()
                news = anyio.Event()
        finally:
            stop()


def _is_wanted(event: Event, endpoint: WebhookEndpoint) -> bool:
    """Not what an endpoint's own failing made."""
    filter, about = endpoint.spec.events, event.involved_object
    if filter is None or event.metadata.namespace != endpoint.metadata.namespace:
        return False
    if about.kind == WEBHOOK_ENDPOINT.name and about.uid == endpoint.metadata.uid:
        return False
    made, seen = endpoint.metadata.creation_timestamp, _seen(event)
    return _fits(filter, event) and not (made is not None and seen is not None and seen < made)


def _fits(filter: EventFilter, event: Event) -> bool:
    asked = (
        (filter.types, event.type),
        (filter.reasons, event.reason),
        (filter.kinds, event.involved_object.kind),
    )
    return all(not wanted or value in wanted for wanted, value in asked)


def _seen(event: Event) -> datetime | None:
    series = event.series.last_observed_time if event.series is not None else None
    return series or event.last_timestamp or event.event_time or event.first_timestamp


def _draft(event: Event, endpoint: WebhookEndpoint, now: datetime) -> Draft:
    """Its id is of this version of the Event: what was read twice is sent once."""
    meta, about = event.metadata, event.involved_object
    version = f"{meta.uid}\x00{meta.resource_version}"
    body = event.wire()
    body["metadata"].pop("managedFields", None)
    what = Occurrence(
        id=f"evt_{hashlib.sha256(version.encode()).hexdigest()[:40]}",
        type=f"{TYPE}.{event.reason or 'Unknown'}",
        data=body,
        time=_seen(event) or now,
        source=f"/namespaces/{meta.namespace}/events",
        subject=f"{about.kind or ''}/{about.name or ''}",
    )
    return draft_of(what, endpoint.metadata.uid or "", endpoint.spec.format)
