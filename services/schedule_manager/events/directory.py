"""Finds buses and rules by the names AWS clients use: from memory, else from the conductor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from services.schedule_manager.events import errors
from services.schedule_manager.events.kinds import EVENT_BUS, EVENT_RULE, EventBus, EventRule
from services.schedule_manager.events.names import (
    DEFAULT_BUS,
    bus_arn,
    bus_named,
    bus_resource,
    rule_arn,
    rule_resource,
)
from services.schedule_manager.events.planning import rule_name
from services.sdk.aws.accounts import account_of
from services.sdk.aws.operations import RequestContext
from services.sdk.changing import Changing
from services.sdk.context import ServiceContext
from services.sdk.resources import Resources

Json = dict[str, Any]
MOST_RULES = 300
"""Of one bus, as on AWS; with more of them, however they were made, it takes no events."""


class EventDirectory:
    """Who changed something has `put` it."""

    def __init__(self, context: ServiceContext) -> None:
        self.buses, self.rules = context.informer(EVENT_BUS), context.informer(EVENT_RULE)
        self._changing = Changing(context)

    async def bus(self, call: RequestContext, name: str) -> EventBus | None:
        """Of the caller's region, else one that is seen in all. The default bus is none."""
        for region in dict.fromkeys((call.region, "")):
            found = await self.buses.read(bus_resource(name, region), call.namespace)
            if found is not None and bus_name(found) == name and call.sees(found.spec.region):
                return found
        return None

    async def found_bus(self, call: RequestContext, name: str) -> EventBus:
        """As `bus`. Raises AwsError."""
        found = await self.bus(call, name)
        if found is None:
            raise errors.no_bus(name)
        return found

    async def require_bus(self, call: RequestContext, name: str) -> None:
        """The default bus is there always. Raises AwsError."""
        if name != DEFAULT_BUS:
            await self.found_bus(call, name)

    async def rule(self, call: RequestContext, name: str, bus: str) -> EventRule | None:
        """Of the caller's region, else one that is seen in all."""
        for region in dict.fromkeys((call.region, "")):
            found = await self.rules.read(rule_resource(name, bus, region), call.namespace)
            if found is not None and _is_meant(found, name, bus) and call.sees(found.spec.region):
                return found
        return None

    async def require_rule(self, call: RequestContext, name: str, bus: str) -> EventRule:
        """Raises AwsError."""
        found = await self.rule(call, name, bus)
        if found is None:
            await self.require_bus(call, bus)
            raise errors.no_rule(name, bus)
        return found

    async def change_rule(self, acting: Resources, rule: EventRule, edit: Callable[[EventRule], None]) -> EventRule:
        """As `Changing.change`."""
        return await self._changing.change(EVENT_RULE, self.rules, acting, rule, edit)

    async def change_bus(self, acting: Resources, bus: EventBus, edit: Callable[[EventBus], None]) -> EventBus:
        """As `Changing.change`."""
        return await self._changing.change(EVENT_BUS, self.buses, acting, bus, edit)

    def rules_of(self, call: RequestContext, bus: str) -> Iterator[EventRule]:
        """All that the caller's account has on that bus, and that are seen in the region."""
        return (
            each for each in self.rules.all(call.namespace) if each.spec.bus == bus and call.sees(each.spec.region)
        )


def bus_name(bus: EventBus) -> str:
    return bus.spec.bus_name or bus.metadata.name


def arn_of_bus(bus: EventBus) -> str:
    return bus_arn(bus.spec.region, account_of(bus.metadata.namespace or ""), bus_name(bus))


def arn_of_rule(rule: EventRule) -> str:
    account = account_of(rule.metadata.namespace or "")
    return rule_arn(rule.spec.region, account, rule.spec.bus, rule_name(rule))


def bus_in(request: Json) -> str:
    """The name of the bus that a request is about."""
    return bus_named(request.get("EventBusName") or DEFAULT_BUS)


async def judged_event_resource(call: RequestContext, request: Json) -> str:
    """The ARN that policies are asked about; PutEvents asks for each bus itself.

    Source: AWS Service Authorization Reference, "Actions, resources, and condition keys for Amazon EventBridge".
    """
    name = str(request.get("Name") or request.get("Rule") or "")
    if "ResourceARN" in request:
        return str(request["ResourceARN"])
    if call.operation.endswith("EventBus"):
        return bus_arn(call.region, call.account, bus_named(name or DEFAULT_BUS))
    if call.operation in ("ListEventBuses", "ListRules", "ListRuleNamesByTarget", "TestEventPattern", "PutEvents"):
        return "*"
    return rule_arn(call.region, call.account, bus_in(request), name)


def _is_meant(rule: EventRule, name: str, bus: str) -> bool:
    return rule_name(rule) == name and rule.spec.bus == bus
