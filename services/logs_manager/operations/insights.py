"""Operations of Logs Insights. A query runs beside the others; what it found is kept for an hour, in memory.

Source: Amazon CloudWatch Logs API reference, StartQuery, GetQueryResults, StopQuery, DescribeQueries.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from services.logs_manager import errors
from services.logs_manager.insights import DEFAULT_LIMIT, Query, Record, Row, parse_query
from services.logs_manager.insights_rows import rows_of
from services.logs_manager.kinds import LOG_GROUP, LogGroup
from services.logs_manager.logql.errors import QueryFault
from services.logs_manager.operations.log_access import Parts, name_of
from services.logs_manager.store.blocks import Entry
from services.logs_manager.store.reader import FoundLine, LogReader, Span, TookTooLong
from services.logs_manager.store.streams import Stream
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
NS, HOUR_NS = 1_000_000_000, 3_600 * 1_000_000_000
MOST_QUERIES, MOST_RUNNING, MOST_GROUPS, MOST_SECONDS = 200, 10, 50, 1 << 33
_START = (
    *("logGroupName", "logGroupNames", "logGroupIdentifiers", "startTime", "endTime", "queryString", "limit"),
    "queryLanguage",
)


@dataclass(slots=True)
class Started:
    """One query. `status` as AWS words it."""

    id: str
    account: str
    text: str
    group: str
    at: int
    status: str = "Running"
    rows: list[Row] = field(default_factory=list)
    scanned: int = 0
    matched: int = 0
    task: asyncio.Task[None] | None = None


class InsightsOperations:
    """One declared method per operation."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._queries: dict[str, Started] = {}

    @operation("StartQuery", permission=("get", LOG_GROUP), understands=_START)
    async def start_query(self, call: RequestContext, request: Json) -> Json:
        groups = [await self._parts.group(call, {"logGroupName": each}) for each in _groups(call, request)]
        if (language := request.get("queryLanguage") or "CWLI") != "CWLI":
            raise errors.invalid(f"queryLanguage: CWLI is done here, {language} is not")
        try:
            query = parse_query(request["queryString"], int(request.get("limit") or DEFAULT_LIMIT))
        except QueryFault as fault:
            raise AwsError("MalformedQueryException", str(fault)) from None
        self._forget()
        if sum(each.status == "Running" for each in self._queries.values()) >= MOST_RUNNING:
            raise errors.over_limit(f"{MOST_RUNNING} queries are running already; wait for one of them")
        now = self._parts.queries.now()
        started = Started(
            secrets.token_hex(16), call.account, request["queryString"], groups[0].group_name, now // 1_000_000
        )
        self._queries[started.id] = started
        started.task = asyncio.ensure_future(self._run(started, query, groups, _span(request, now)))
        return {"queryId": started.id}

    async def _run(self, started: Started, query: Query, groups: list[LogGroup], span: Span) -> None:
        streams = {each.id: each for group in groups for each in self._parts.streams(group)}
        names = {(g.metadata.namespace or "default", g.metadata.name): g.group_name for g in groups}
        kept = {id: self._parts.queries.now() - self._parts.directory.retention_ns(s) for id, s in streams.items()}

        def record_of(found: FoundLine) -> Record:
            stream: Stream = streams[found.stream]
            line = found.entry.line.decode("utf-8", "replace")
            return Record(found.entry.time, line, stream.name, names[stream.namespace, stream.group], found.arrived)

        def ask(reader: LogReader) -> list[Row]:
            def fitting(found: Iterator[FoundLine] | list[FoundLine]) -> Iterator[Record]:
                for each in found:
                    reader.require_time()
                    if each.entry.time < kept[each.stream]:
                        continue
                    started.scanned += 1
                    if query.fits(record := record_of(each)):
                        started.matched += 1
                        yield record

            if not query.is_plain:
                return rows_of(query, fitting(reader.walk(streams.keys(), span)), reader.require_time)

            def wanted(stream: int, entry: Entry) -> bool:
                return any(True for _ in fitting([FoundLine(stream, entry, 0)]))

            newest = reader.first(streams.keys(), span, query.limit, wanted, newest=query.newest_first)
            return rows_of(query, map(record_of, newest), reader.require_time)

        try:
            started.rows = await self._parts.queries.run(ask)
            started.status = "Complete"
        except TookTooLong:
            started.status = "Timeout"
        except QueryFault:
            started.status = "Failed"
        except BaseException:
            started.status = "Failed" if started.status == "Running" else started.status
            raise

    @operation("GetQueryResults", permission=("get", LOG_GROUP), understands=("queryId",))
    async def get_query_results(self, call: RequestContext, request: Json) -> Json:
        found = await self._started(call, request)
        return {
            "queryLanguage": "CWLI",
            "status": found.status,
            "results": [[{"field": name, "value": text} for name, text in row.items()] for row in found.rows],
            "statistics": {
                "recordsMatched": float(found.matched),
                "recordsScanned": float(found.scanned),
                "bytesScanned": 0.0,
            },
        }

    @operation("StopQuery", permission=("list", LOG_GROUP), understands=("queryId",))
    async def stop_query(self, call: RequestContext, request: Json) -> Json:
        """What it found is not kept; what is being read is read to its end, for seconds."""
        found = await self._started(call, request)
        if found.status != "Running" or found.task is None:
            raise errors.invalid("The specified query has ended already.")
        found.status = "Cancelled"
        found.task.cancel()
        return {"success": True}

    @operation(
        "DescribeQueries", permission=("list", LOG_GROUP), understands=("logGroupName", "status", "maxResults")
    )
    async def describe_queries(self, call: RequestContext, request: Json) -> Json:
        await self._parts.access.require(call)
        self._forget()
        group, status = request.get("logGroupName") or "", request.get("status") or ""
        fitting = [
            {
                "queryLanguage": "CWLI",
                "queryId": each.id,
                "queryString": each.text,
                "status": each.status,
                "createTime": each.at,
                "logGroupName": each.group,
            }
            for each in reversed(self._queries.values())
            if each.account == call.account and group in ("", each.group) and status in ("", each.status)
        ]
        return {"queries": fitting[: int(request.get("maxResults") or 1000)]}

    async def _started(self, call: RequestContext, request: Json) -> Started:
        """Raises Forbidden, AwsError."""
        await self._parts.access.require(call)
        found = self._queries.get(request["queryId"])
        if found is None or found.account != call.account:
            raise AwsError("ResourceNotFoundException", "The specified query does not exist.")
        return found

    def _forget(self) -> None:
        """The oldest of too many, and those of an hour ago."""
        oldest = (self._parts.queries.now() - HOUR_NS) // 1_000_000
        for each in list(self._queries.values()):
            if each.status != "Running" and (each.at < oldest or len(self._queries) >= MOST_QUERIES):
                del self._queries[each.id]


def _groups(call: RequestContext, request: Json) -> list[str]:
    """Raises AwsError."""
    one, many = request.get("logGroupName"), request.get("logGroupNames") or request.get("logGroupIdentifiers") or []
    said = [each for each in ("logGroupName", "logGroupNames", "logGroupIdentifiers") if request.get(each)]
    names = [name_of(call, each) for each in ([one] if one else many)]
    if len(said) != 1 or not 1 <= len(names) <= MOST_GROUPS:
        raise errors.invalid(
            f"exactly one of logGroupName, logGroupNames, logGroupIdentifiers, of 1 to {MOST_GROUPS}"
        )
    return names


def _span(request: Json, now: int) -> Span:
    """In seconds since 1970, both ends included. Raises AwsError."""
    start, end = request["startTime"], request["endTime"]
    # As the AWS CLI and Grafana send them: either, by their size.
    start, end = (each // 1000 if each > MOST_SECONDS else each for each in (start, end))
    if not 0 <= start <= end <= MOST_SECONDS:
        raise errors.invalid("startTime and endTime are seconds since 1970, in this order.")
    return Span(start * NS, min((end + 1) * NS, now + 2 * HOUR_NS))
