"""Operations of Logs Insights. A query runs beside the others; what it found is kept for an hour, in memory.

Source: Amazon CloudWatch Logs API reference, StartQuery, GetQueryResults, StopQuery, DescribeQueries.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import Any

from services.logs_manager import errors
from services.logs_manager.insights import Query
from services.logs_manager.insights_parser import DEFAULT_LIMIT, MOST_ROWS, parse_query
from services.logs_manager.kinds import LOG_GROUP, LogGroup
from services.logs_manager.logql.errors import QueryFault
from services.logs_manager.names import group_arn
from services.logs_manager.operations.insights_search import Search, Searched
from services.logs_manager.operations.log_access import Parts, name_of
from services.logs_manager.operations.started_queries import Asked, Started, StartedQueries
from services.logs_manager.store.reader import Span, TookTooLong
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation

log = logging.getLogger(__name__)
Json = dict[str, Any]
NS, HOUR_NS = 1_000_000_000, 3_600 * 1_000_000_000
MOST_GROUPS, MOST_SECONDS = 50, 1 << 33
_START = (
    *("logGroupName", "logGroupNames", "logGroupIdentifiers", "startTime", "endTime", "queryString", "limit"),
    "queryLanguage",
)


class InsightsOperations:
    """One declared method per operation."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._started = StartedQueries(parts.queries.now)

    @operation("StartQuery", permission=("get", LOG_GROUP), understands=_START)
    async def start_query(self, call: RequestContext, request: Json) -> Json:
        groups = [await self._group(call, each) for each in _groups(call, request)]
        if (language := request.get("queryLanguage") or "CWLI") != "CWLI":
            raise errors.invalid(f"queryLanguage: CWLI is done here, {language} is not")
        try:
            query = parse_query(request["queryString"], _limit(request))
        except QueryFault as fault:
            raise AwsError("MalformedQueryException", str(fault)) from None
        now = self._parts.queries.now()
        span, asked = _span(request, now), tuple(Asked(g.metadata.name, g.group_name) for g in groups)
        started = Started(secrets.token_hex(16), call.account, request["queryString"], asked, now // 1_000_000)
        self._started.add(started)
        started.task = asyncio.ensure_future(self._run(started, query, groups, span))
        return {"queryId": started.id}

    async def _group(self, call: RequestContext, name: str) -> LogGroup:
        """Policies are asked of each, also where several are named. Raises Forbidden, AwsError."""
        return await self._parts.group(_about(call, name), {"logGroupName": name})

    async def _run(self, started: Started, query: Query, groups: list[LogGroup], span: Span) -> None:
        parts, now = self._parts, self._parts.queries.now()
        streams = {
            each.id: Searched(each.name, group.group_name, now - parts.directory.retention_ns(each))
            for group in groups
            for each in parts.streams(group)
        }
        try:
            async with self._started.turn(started.account):
                rows = await parts.queries.run(lambda reader: Search(reader, started, query, streams).rows(span))
                self._started.found(started, *rows)
        except (TookTooLong, QueryFault) as fault:
            started.status = "Timeout" if isinstance(fault, TookTooLong) else "Failed"
            started.fault = str(fault)
            log.warning("query %s of account %s: %s", started.id, started.account, fault)
        except BaseException:
            started.status = "Failed" if started.status == "Running" else started.status
            raise

    @operation("GetQueryResults", permission=("get", LOG_GROUP), understands=("queryId",))
    async def get_query_results(self, call: RequestContext, request: Json) -> Json:
        """Of a query that has failed, the one row says why, in a column `@error`."""
        found = await self._known(call, request)
        rows = [{"@error": found.fault}] if found.fault else found.rows
        return {
            "queryLanguage": "CWLI",
            "status": found.status,
            "results": [[{"field": name, "value": text} for name, text in row.items()] for row in rows],
            "statistics": {
                "recordsMatched": float(found.matched),
                "recordsScanned": float(found.scanned),
                "bytesScanned": 0.0,
            },
        }

    @operation("StopQuery", permission=("get", LOG_GROUP), understands=("queryId",))
    async def stop_query(self, call: RequestContext, request: Json) -> Json:
        """What it found is not kept."""
        found = await self._known(call, request)
        if not found.is_running or found.task is None:
            raise errors.invalid("The specified query has ended already.")
        found.status = "Cancelled"
        found.task.cancel()
        return {"success": True}

    @operation(
        "DescribeQueries", permission=("list", LOG_GROUP), understands=("logGroupName", "status", "maxResults")
    )
    async def describe_queries(self, call: RequestContext, request: Json) -> Json:
        """All of the account, whatever their groups."""
        await self._parts.access.require(call)
        group, status = request.get("logGroupName") or "", request.get("status") or ""
        fitting = [
            {
                "queryLanguage": "CWLI",
                "queryId": each.id,
                "queryString": each.text,
                "status": each.status,
                "createTime": each.at,
                "logGroupName": each.groups[0].name,
            }
            for each in self._started.newest_first(call.account)
            if (not group or group in {of.name for of in each.groups}) and status in ("", each.status)
        ]
        return {"queries": fitting[: int(request.get("maxResults") or 1000)]}

    async def _known(self, call: RequestContext, request: Json) -> Started:
        """One whose groups the caller may read, all of them. Raises Forbidden, AwsError."""
        try:
            found = self._started.get(request["queryId"], call.account)
        except AwsError:
            await self._parts.access.require(call)
            raise
        for each in found.groups:
            await self._parts.access.require(_about(call, each.name), each.resource)
        return found


def _about(call: RequestContext, group: str) -> RequestContext:
    """The call as policies judge it for that group."""
    return call._replace(resource=group_arn(call.region, call.account, group) + ":*")


def _limit(request: Json) -> int:
    """Raises AwsError."""
    limit = request.get("limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MOST_ROWS:
        raise errors.invalid(f"limit: {limit} is no count from 1 to {MOST_ROWS}")
    return int(limit)


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
