"""EventBridge's operations about events.

Source: Amazon EventBridge API reference, PutEvents, TestEventPattern.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

import orjson

from services.schedule_manager.delivery import time_text
from services.schedule_manager.events import errors
from services.schedule_manager.events.directory import EventDirectory, bus_in
from services.schedule_manager.events.kinds import EVENT_BUS, EVENT_RULE
from services.schedule_manager.events.names import DEFAULT_BUS, bus_arn, bus_named, bus_resource
from services.schedule_manager.events.patterns import BudgetFault, PatternFault
from services.schedule_manager.events.routing import Arrived, EntryFault, Routing
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.arns import parse_arn
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.service_callers import requester_of
from services.sdk.resources import Clock

Json = dict[str, Any]
LARGEST = 262_144
"""Of all the entries of a request together, in bytes."""
_NEEDED = ("Source", "DetailType", "Detail")
_OF_EVENTS = ("id", "account", "source", "time", "region", "detail-type")


class PublishingOperations:
    """One declared method per operation."""

    def __init__(self, directory: EventDirectory, access: CallerAccess, routing: Routing, clock: Clock) -> None:
        self._directory, self._access, self._routing, self._clock = directory, access, routing, clock

    @operation("PutEvents", permission=("use", EVENT_BUS), understands=("Entries",))
    async def put_events(self, call: RequestContext, request: Json) -> Json:
        """Those that are put are durable when it is answered; a bus that is not there swallows them, as on AWS."""
        entries = request["Entries"]
        if sum(map(_size, entries)) > LARGEST:
            raise errors.validation("Total size of the entries in the request is over the limit.")
        for bus in sorted({bus_in(each) for each in entries}):
            asked = call._replace(resource=bus_arn(call.region, call.account, bus))
            await self._access.require(asked, bus_resource(bus, call.region))
        now = self._clock.now()
        read = [self._read(call, each, now) for each in entries]
        arrived = [each for each in read if isinstance(each, Arrived)]
        refused = await self._routing.route(call, arrived, now)
        told = [_answer(refused.get(each.id, each) if isinstance(each, Arrived) else each) for each in read]
        return {"FailedEntryCount": sum("ErrorCode" in each for each in told), "Entries": told}

    @operation("TestEventPattern", permission=("list", EVENT_RULE), understands=("EventPattern", "Event"))
    async def test_event_pattern(self, call: RequestContext, request: Json) -> Json:
        await self._access.require(call)
        try:
            event = orjson.loads(request["Event"])
        except orjson.JSONDecodeError:
            raise errors.validation("Parameter Event is not valid.") from None
        if not isinstance(event, dict) or any(each not in event for each in _OF_EVENTS):
            raise errors.validation(f"Parameter Event is not valid: it is an object with {', '.join(_OF_EVENTS)}.")
        try:
            return {"Result": await self._routing.fits(request["EventPattern"], event)}
        except PatternFault as fault:
            raise errors.pattern(fault) from None
        except BudgetFault as fault:
            raise errors.validation(f"Parameter Event is not valid: {fault}.") from None

    def _read(self, call: RequestContext, entry: Json, now: datetime) -> Arrived | EntryFault:
        if (fault := _fault_of(call, entry)) is not None:
            return fault
        detail = _detail_of(entry["Detail"])
        if detail is None:
            return EntryFault("MalformedDetail", "Detail is malformed.")
        event = {
            "version": "0",
            "id": str(uuid4()),
            "detail-type": entry["DetailType"],
            "source": entry["Source"],
            "account": call.account,
            "time": time_text(entry.get("Time") or now),
            "region": call.region,
            "resources": entry.get("Resources") or [],
            "detail": detail,
        }
        try:
            text = orjson.dumps(event).decode()
        except orjson.JSONEncodeError:
            return EntryFault("MalformedDetail", "Detail is malformed: it is nested too deep.")
        return Arrived(bus_named(entry.get("EventBusName") or DEFAULT_BUS), str(event["id"]), event, text)


def _fault_of(call: RequestContext, entry: Json) -> EntryFault | None:
    for each in _NEEDED:
        if not entry.get(each):
            text = f"Parameter {each} is not valid. Reason: {each} is a required argument."
            return EntryFault("InvalidArgument", text)
    if entry["Source"].startswith("aws.") and entry["Source"] != _own_source(call):
        return EntryFault("NotAuthorizedForSourceException", "Not authorized for the source.")
    if entry.get("TraceHeader"):
        return EntryFault("InvalidArgument", "Parameter TraceHeader is not valid. Reason: it is not understood here.")
    arn = parse_arn(entry.get("EventBusName") or "")
    if arn is not None and (arn.region, arn.account) != (call.region, call.account):
        return EntryFault("AccessDeniedException", "Events go on buses of their own account and region alone here.")
    return None


def _own_source(call: RequestContext) -> str:
    """`aws.s3` of the service that policies know as `s3.amazonaws.com`; nothing of people."""
    requester = requester_of(call.caller)
    return f"aws.{requester.arn.removesuffix('.amazonaws.com')}" if requester is not None else ""


def _detail_of(text: str) -> Json | None:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _size(entry: Json) -> int:
    """As AWS counts: the time as 14 bytes, texts in UTF-8."""
    texts = [entry.get(each) or "" for each in _NEEDED] + list(entry.get("Resources") or [])
    return (14 if entry.get("Time") else 0) + sum(len(each.encode()) for each in texts)


def _answer(said: Arrived | EntryFault) -> Json:
    if isinstance(said, Arrived):
        return {"EventId": said.id}
    return {"ErrorCode": said.code, "ErrorMessage": said.message}
