"""Operations about log streams.

Source: Amazon CloudWatch Logs API reference, CreateLogStream, DeleteLogStream, DescribeLogStreams.
"""

from __future__ import annotations

from typing import Any

from services.logs_manager import errors
from services.logs_manager.kinds import LOG_GROUP, LogGroup
from services.logs_manager.names import stream_arn, stream_fault
from services.logs_manager.operations.log_access import Parts
from services.logs_manager.pages import page
from services.logs_manager.store.log_store import Written
from services.logs_manager.store.streams import Stream, TooManyStreams
from services.logs_manager.store.tables import StreamSize
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
MS = 1_000_000


class StreamOperations:
    """One declared method per operation."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @operation("CreateLogStream", permission=("use", LOG_GROUP), understands=("logGroupName", "logStreamName"))
    async def create_log_stream(self, call: RequestContext, request: Json) -> None:
        group, name = await self._parts.group(call, request), request["logStreamName"]
        if fault := stream_fault(name):
            raise errors.invalid(f"logStreamName: {fault}")
        if any(each.name == name for each in self._parts.streams(group)):
            raise errors.exists("log stream")
        now = self._parts.queries.now() // MS
        await self._parts.store.append([Written(made_stream(self._parts, group, name, now), [])], now)

    @operation("DeleteLogStream", permission=("patch", LOG_GROUP), understands=("logGroupName", "logStreamName"))
    async def delete_log_stream(self, call: RequestContext, request: Json) -> None:
        group = await self._parts.group(call, request)
        await self._parts.store.delete(self._parts.streams_named(group, request["logStreamName"]))

    @operation(
        "DescribeLogStreams",
        permission=("get", LOG_GROUP),
        understands=(
            *("logGroupName", "logGroupIdentifier", "logStreamNamePrefix", "orderBy"),
            *("descending", "limit", "nextToken"),
        ),
    )
    async def describe_log_streams(self, call: RequestContext, request: Json) -> Json:
        group, prefix = await self._parts.group(call, request), request.get("logStreamNamePrefix") or ""
        by_time, descending = request.get("orderBy") == "LastEventTime", bool(request.get("descending"))
        if by_time and prefix:
            raise errors.invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
        streams = {each.id: each for each in self._parts.streams(group) if each.name.startswith(prefix)}
        sizes = await self._parts.queries.run(lambda reader: reader.sizes(streams.keys()))
        rows = sorted(
            streams.values(),
            key=lambda each: (
                (sizes[each.id].last if each.id in sizes else 0, each.name) if by_time else (0, each.name)
            ),
            reverse=descending,
        )
        ordered = list(enumerate(rows))
        scope = ["streams", group.metadata.uid or "", prefix, str(by_time), str(descending)]
        shown, more = page(ordered, lambda each: f"{each[0]:06d}", scope, request)
        return {"logStreams": [_described(call, group, each, sizes.get(each.id)) for _, each in shown], **more}


def made_stream(parts: Parts, group: LogGroup, name: str, now: int) -> Stream:
    """`now` in ms. Raises AwsError."""
    namespace = group.metadata.namespace or "default"
    labels = {"namespace": namespace, "log_group": group.group_name, "log_stream": name}
    try:
        return parts.store.streams.make(namespace, group.metadata.name, name, labels, now)
    except TooManyStreams as error:
        raise errors.over_limit(str(error)) from None


def _described(call: RequestContext, group: LogGroup, stream: Stream, size: StreamSize | None) -> Json:
    region = group.spec.region or call.region
    found: Json = {
        "logStreamName": stream.name,
        "creationTime": stream.created,
        "arn": stream_arn(region, call.account, group.group_name, stream.name),
        "uploadSequenceToken": "1",
        "storedBytes": size.stored if size else 0,
    }
    if size is not None:
        found["firstEventTimestamp"], found["lastEventTimestamp"] = size.first // MS, size.last // MS
        found["lastIngestionTime"] = size.last // MS
    return found
