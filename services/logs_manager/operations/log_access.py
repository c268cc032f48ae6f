"""Log groups and streams as operations need them: found, and asked for."""

from __future__ import annotations

from typing import Any, NamedTuple

from services.logs_manager import errors
from services.logs_manager.directory import Directory
from services.logs_manager.kinds import LogGroup
from services.logs_manager.names import group_arn, group_fault, group_in, group_resource, stream_arn
from services.logs_manager.queries import Queries
from services.logs_manager.store.log_store import LogStore
from services.logs_manager.store.streams import Stream
from services.logs_manager.upkeep import Upkeep
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.arns import parse_arn
from services.sdk.aws.operations import RequestContext

Json = dict[str, Any]


class Parts(NamedTuple):
    """What operations stand on."""

    directory: Directory
    store: LogStore
    queries: Queries
    upkeep: Upkeep
    access: CallerAccess

    async def group(self, call: RequestContext, request: Json) -> LogGroup:
        """The one that is named, if the caller may. Raises Forbidden, AwsError."""
        name = group_named(call, request)
        found = await self.directory.find(call, name)
        await self.access.require(call, found.metadata.name if found else group_resource(name, call.region))
        if found is None:
            raise errors.no_group()
        return found

    def streams(self, group: LogGroup) -> list[Stream]:
        return self.store.streams.of_group(group.metadata.namespace or "default", group.metadata.name)

    def streams_named(self, group: LogGroup, name: str) -> list[Stream]:
        """Those of that name: what is pushed by other protocols may have several. Raises AwsError."""
        found = [each for each in self.streams(group) if each.name == name]
        if not found:
            raise errors.no_stream()
        return found


def group_named(call: RequestContext, request: Json) -> str:
    """By logGroupName, logGroupIdentifier or an ARN. Raises AwsError."""
    name, identifier = request.get("logGroupName") or "", request.get("logGroupIdentifier") or ""
    if bool(name) == bool(identifier):
        raise errors.invalid("Exactly one of logGroupName and logGroupIdentifier is to be there.")
    return name_of(call, name or identifier)


def name_of(call: RequestContext, said: str) -> str:
    """The name of a group that is said by its name or its ARN. Raises AwsError for one of another account."""
    if (arn := parse_arn(said)) is not None:
        found = group_in(said)
        if found is None:
            raise errors.invalid(f"{said} is no ARN of a log group.")
        if (arn.account, arn.region) != (call.account, call.region):
            raise errors.no_group()
        return found
    if fault := group_fault(said):
        raise errors.invalid(f"logGroupName: {fault}")
    return said


async def judged_resource(call: RequestContext, request: Json) -> str:
    """The ARN that policies are asked about.

    Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon CloudWatch Logs": that
    of a group ends in `:*` but where it is tagged.
    """
    if said := request.get("resourceArn"):
        # As it is acted on, not as it is written.
        named = group_in(str(said))
        return str(said) if named is None else group_arn(call.region, call.account, named)
    names: list[str] = request.get("logGroupNames") or request.get("logGroupIdentifiers") or []
    named = request.get("logGroupName") or request.get("logGroupIdentifier")
    said = str(named or (names[0] if len(names) == 1 else ""))
    if not said:
        return "*"
    group = group_in(said) or said
    if (stream := request.get("logStreamName")) and call.operation in _OF_STREAMS:
        return stream_arn(call.region, call.account, group, stream)
    return group_arn(call.region, call.account, group) + ":*"


_OF_STREAMS = ("PutLogEvents", "GetLogEvents", "DeleteLogStream")
