"""EventBridge's operations about event buses.

Source: Amazon EventBridge API reference, CreateEventBus, DescribeEventBus, UpdateEventBus, ListEventBuses,
DeleteEventBus.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from crds.errors import AlreadyExists, NotFound
from crds.model import rfc3339_micro
from services.schedule_manager.events import errors
from services.schedule_manager.events.directory import EventDirectory, arn_of_bus
from services.schedule_manager.events.kinds import EVENT_BUS, EventBus, EventBusSpec
from services.schedule_manager.events.names import DEFAULT_BUS, bus_fault, bus_named, bus_resource
from services.schedule_manager.events.operations.tags import wanted_tags
from services.schedule_manager.events.views import described_bus, described_default_bus
from services.schedule_manager.pages import page
from services.schedule_manager.views import MODIFIED
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.resources import Clock

Json = dict[str, Any]


class BusOperations:
    """One declared method per operation."""

    def __init__(self, directory: EventDirectory, access: CallerAccess, clock: Clock) -> None:
        self._directory, self._access, self._clock = directory, access, clock

    @operation("CreateEventBus", permission=("create", EVENT_BUS), understands=("Name", "Description", "Tags"))
    async def create_event_bus(self, call: RequestContext, request: Json) -> Json:
        name, description = request["Name"], request.get("Description") or ""
        acting = await self._access.resources_for(call, bus_resource(name, call.region))
        if fault := bus_fault(name):
            raise errors.validation(f"Parameter Name is not valid: {fault}")
        if name == DEFAULT_BUS or await self._directory.bus(call, name) is not None:
            raise errors.bus_exists(name)
        tags = wanted_tags(request.get("Tags") or ())
        spec = EventBusSpec(bus_name=name, region=call.region, description=description, tags=tags or None)
        resource = EVENT_BUS.new(bus_resource(name, call.region), namespace=call.namespace, spec=spec)
        try:
            made = self._directory.buses.put(await acting.create(EVENT_BUS, resource))
        except AlreadyExists:
            raise errors.bus_exists(name) from None
        return {"EventBusArn": arn_of_bus(made), **({"Description": description} if description else {})}

    @operation("DescribeEventBus", permission=("get", EVENT_BUS), understands=("Name",))
    async def describe_event_bus(self, call: RequestContext, request: Json) -> Json:
        name = bus_named(request.get("Name") or DEFAULT_BUS)
        await self._access.require(call, bus_resource(name, call.region))
        if name == DEFAULT_BUS:
            return described_default_bus(call.region, call.account)
        return described_bus(await self._directory.found_bus(call, name))

    @operation("UpdateEventBus", permission=("update", EVENT_BUS), understands=("Name", "Description"))
    async def update_event_bus(self, call: RequestContext, request: Json) -> Json:
        name = bus_named(request.get("Name") or DEFAULT_BUS)
        acting = await self._access.resources_for(call, bus_resource(name, call.region))
        if name == DEFAULT_BUS:
            raise errors.validation("The event bus default has no description here.")

        def edit(bus: EventBus) -> None:
            bus.spec.description = request.get("Description") or ""
            noted = {**(bus.metadata.annotations or {}), MODIFIED: rfc3339_micro(self._clock.now())}
            bus.metadata.annotations = noted

        found = await self._directory.found_bus(call, name)
        told = described_bus(await self._directory.change_bus(acting, found, edit))
        return {each: told[each] for each in ("Arn", "Name", "Description") if each in told}

    @operation("DeleteEventBus", permission=("delete", EVENT_BUS), understands=("Name",))
    async def delete_event_bus(self, call: RequestContext, request: Json) -> None:
        """One that is not there is gone already."""
        name = bus_named(request["Name"])
        acting = await self._access.resources_for(call, bus_resource(name, call.region))
        if name == DEFAULT_BUS:
            raise errors.validation(f"Cannot delete event bus {DEFAULT_BUS}.")
        found = await self._directory.bus(call, name)
        if found is None:
            return
        if any(True for _ in self._directory.rules_of(call, name)):
            raise errors.validation(f"Event bus {name} has rules, which must be deleted before it.")
        meta = found.metadata
        with suppress(NotFound):
            await acting.delete(EVENT_BUS, meta.name, meta.namespace, uid=meta.uid)
        self._directory.buses.drop(found)

    @operation("ListEventBuses", permission=("list", EVENT_BUS), understands=("NamePrefix", "NextToken", "Limit"))
    async def list_event_buses(self, call: RequestContext, request: Json) -> Json:
        await self._access.require(call)
        prefix = request.get("NamePrefix") or ""
        found = [each for each in self._directory.buses.all(call.namespace) if call.sees(each.spec.region)]
        rows = [described_default_bus(call.region, call.account), *map(described_bus, found)]
        shown, more = page(
            [each for each in rows if each["Name"].startswith(prefix)],
            lambda each: str(each["Name"]),
            ["buses", call.account, call.region, prefix],
            request,
        )
        return {"EventBuses": shown, **more}
