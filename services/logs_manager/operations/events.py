"""Operations about lines: written, read of one stream, found in a group.

Source: Amazon CloudWatch Logs API reference, PutLogEvents, GetLogEvents, FilterLogEvents, TestMetricFilter.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from services.logs_manager import errors
from services.logs_manager.filter_patterns import FilterPattern, pattern_of
from services.logs_manager.kinds import LOG_GROUP, LogGroup
from services.logs_manager.logql.errors import QueryFault
from services.logs_manager.operations.log_access import Parts
from services.logs_manager.operations.streams import MS
from services.logs_manager.pages import place, placed
from services.logs_manager.store.log_store import LONGEST_LINE, NewLine, Written
from services.logs_manager.store.reader import OVERHEAD, FoundLine, FoundLines, Span, TookTooLong
from services.logs_manager.store.streams import Stream
from services.logs_manager.taking import AHEAD_NS
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
MOST_EVENTS, MOST_EVENTS_READ = 10_000, 10_000
MOST_BATCH, MOST_ANSWER = 1_048_576, 1 << 20
_DAY_MS = 86_400_000
_END_MS = 1 << 43
_GET = ("logGroupName", "logGroupIdentifier", "logStreamName", "startTime", "endTime", "nextToken", "limit")


class EventOperations:
    """One declared method per operation."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @operation(
        "PutLogEvents",
        permission=("use", LOG_GROUP),
        understands=("logGroupName", "logStreamName", "logEvents", "sequenceToken"),
    )
    async def put_log_events(self, call: RequestContext, request: Json) -> Json:
        """Durable when it is answered. Any sequence token is taken, as AWS does."""
        group = await self._parts.group(call, request)
        stream = self._parts.streams_named(group, request["logStreamName"])[0]
        events, now = request["logEvents"], self._parts.queries.now()
        _require_batch(events)
        oldest = max(now - self._parts.directory.retention_ns(stream), 0)
        lines = [NewLine(each["timestamp"] * MS, _message(each["message"])) for each in events]
        kept = [each for each in lines if oldest <= each.time <= now + AHEAD_NS]
        try:
            await self._parts.store.append([Written(stream, kept)], now // MS)
        except sqlite3.Error as error:
            text = f"the lines cannot be written: {error}"
            raise AwsError("ServiceUnavailableException", text, 503) from error
        return {"nextSequenceToken": "1", **_rejected(lines, oldest, now + AHEAD_NS)}

    @operation("GetLogEvents", permission=("get", LOG_GROUP), understands=(*_GET, "startFromHead"))
    async def get_log_events(self, call: RequestContext, request: Json) -> Json:
        """From `startTime` on and before `endTime`. A token begins with f or b, for forward and backward."""
        group = await self._parts.group(call, request)
        streams = self._parts.streams_named(group, request["logStreamName"])
        scope = ["events", group.metadata.uid or "", request["logStreamName"]]
        token, after, newest = request.get("nextToken") or "", None, not request.get("startFromHead")
        if token:
            if token[:2] not in ("f/", "b/"):
                raise errors.invalid("The specified nextToken is invalid.")
            newest, after = token[0] == "b", placed(scope, token[2:])
        span = self._span(request, streams[0], ends_before=True)
        limit = min(int(request.get("limit") or MOST_EVENTS_READ), MOST_EVENTS_READ)
        found = await self._first(streams, span, limit, None, newest=newest, after=after)
        if newest:
            found.reverse()
        here = after or (span.start, 0)
        ends = [_key(found[0]), _key(found[-1])] if found else [here, here]
        events = [_event(each) for each in found]
        return {
            "events": events,
            "nextForwardToken": f"f/{place(scope, ends[1])}",
            "nextBackwardToken": f"b/{place(scope, ends[0])}",
        }

    @operation(
        "FilterLogEvents",
        permission=("get", LOG_GROUP),
        understands=(
            *("logGroupName", "logGroupIdentifier", "logStreamNames", "logStreamNamePrefix", "startTime", "endTime"),
            *("filterPattern", "nextToken", "limit", "interleaved"),
        ),
    )
    async def filter_log_events(self, call: RequestContext, request: Json) -> Json:
        """Oldest first, of all streams together, both ends included; `eventId` is a line's for good."""
        group = await self._parts.group(call, request)
        streams = self._chosen(group, request)
        pattern = _pattern(request.get("filterPattern") or "")
        scope = ["filter", group.metadata.uid or "", request.get("filterPattern") or ""]
        token = request.get("nextToken")
        after = placed(scope, token) if token else None
        limit = min(int(request.get("limit") or MOST_EVENTS_READ), MOST_EVENTS_READ)
        if not streams:
            return {"events": [], "searchedLogStreams": []}
        span = self._span(request, streams[0], ends_before=False)
        if after is not None:
            span = span._replace(start=max(span.start, after[0]))
        found = await self._first(streams, span, limit, pattern, newest=False, after=after)
        names = {each.id: each.name for each in streams}
        more = {"nextToken": place(scope, _key(found[-1]))} if len(found) == limit or found.is_cut else {}
        return {"events": [_filtered(each, names[each.stream]) for each in found], "searchedLogStreams": [], **more}

    def _chosen(self, group: LogGroup, request: Json) -> list[Stream]:
        names, prefix = set(request.get("logStreamNames") or ()), request.get("logStreamNamePrefix") or ""
        if names and prefix:
            raise errors.invalid("logStreamNames and logStreamNamePrefix exclude each other.")
        streams = self._parts.streams(group)
        return [each for each in streams if (not names or each.name in names) and each.name.startswith(prefix)]

    def _span(self, request: Json, stream: Stream, *, ends_before: bool) -> Span:
        """Raises AwsError."""
        start, end = request.get("startTime") or 0, request.get("endTime")
        end = _END_MS if end is None else end
        if not (0 <= start <= _END_MS and 0 <= end <= _END_MS):
            raise errors.invalid("startTime and endTime are ms since 1970.")
        oldest = self._parts.queries.now() - self._parts.directory.retention_ns(stream)
        return Span(max(start * MS, oldest), (end + (not ends_before)) * MS)

    async def _first(
        self,
        streams: Sequence[Stream],
        span: Span,
        limit: int,
        pattern: FilterPattern | None,
        *,
        newest: bool,
        after: tuple[int, int] | None,
    ) -> FoundLines:
        """As many as an answer may hold. Raises AwsError."""
        ids = {each.id for each in streams}
        matches: Callable[[str], bool] = pattern.matches if pattern else lambda _: True
        try:
            return await self._parts.queries.run(
                lambda reader: reader.first(
                    ids,
                    span,
                    limit,
                    lambda _, entry: matches(entry.text),
                    newest=newest,
                    needles=pattern.needles if pattern else (),
                    after=after,
                    cut_at=MOST_ANSWER,
                )
            )
        except TookTooLong as error:
            raise errors.invalid(str(error)) from None

    @operation("TestMetricFilter", permission=("list", LOG_GROUP), understands=("filterPattern", "logEventMessages"))
    async def test_metric_filter(self, call: RequestContext, request: Json) -> Json:
        await self._parts.access.require(call)
        pattern = _pattern(request["filterPattern"])
        found = [
            {"eventNumber": number, "eventMessage": message, "extractedValues": {}}
            for number, message in enumerate(request["logEventMessages"], 1)
            if pattern.matches(message)
        ]
        return {"matches": found}


def _pattern(text: str) -> FilterPattern:
    """Raises AwsError."""
    try:
        return pattern_of(text)
    except QueryFault as fault:
        raise errors.invalid(str(fault)) from None


def _require_batch(events: Sequence[Json]) -> None:
    """Raises AwsError."""
    size = sum(len(each["message"].encode("utf-8", "replace")) + OVERHEAD for each in events)
    if len(events) > MOST_EVENTS or size > MOST_BATCH:
        raise errors.invalid(f"Upload too large: at most {MOST_EVENTS} events and {MOST_BATCH} bytes, not {size}")
    if any(after["timestamp"] < before["timestamp"] for before, after in pairwise(events)):
        raise errors.invalid("Log events in a single PutLogEvents request must be in chronological order.")
    if events and events[-1]["timestamp"] - events[0]["timestamp"] > _DAY_MS:
        raise errors.invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
        )


def _message(text: str) -> bytes:
    line = text.encode("utf-8", "replace")
    if len(line) > LONGEST_LINE:
        raise errors.invalid(f"Log event too large: {len(line)} bytes, at most {LONGEST_LINE}")
    return line


def _rejected(lines: Sequence[NewLine], oldest: int, newest: int) -> Json:
    old = sum(each.time < oldest for each in lines)
    new = next((at for at, each in enumerate(lines) if each.time > newest), None)
    found: Json = {"expiredLogEventEndIndex": old} if old else {}
    if new is not None:
        found["tooNewLogEventStartIndex"] = new
    return {"rejectedLogEventsInfo": found} if found else {}


def _key(found: FoundLine) -> tuple[int, int]:
    return found.entry.time, found.entry.number


def _event(found: FoundLine) -> Json:
    entry = found.entry
    return {
        "timestamp": entry.time // MS,
        "message": entry.text,
        "ingestionTime": found.arrived,
    }


def _filtered(found: FoundLine, stream: str) -> Json:
    time, number = _key(found)
    return {**_event(found), "logStreamName": stream, "eventId": f"{time:020d}{number:036d}"}
