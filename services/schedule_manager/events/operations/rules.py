"""EventBridge's operations about rules.

Source: Amazon EventBridge API reference, PutRule, DescribeRule, ListRules, EnableRule, DisableRule, DeleteRule.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from crds.errors import AlreadyExists, NotFound
from services.schedule_manager.events import errors
from services.schedule_manager.events.directory import MOST_RULES, EventDirectory, arn_of_rule, bus_in
from services.schedule_manager.events.kinds import EVENT_RULE, EventRule, EventRuleSpec
from services.schedule_manager.events.names import rule_resource
from services.schedule_manager.events.operations.tags import wanted_tags
from services.schedule_manager.events.planning import rule_name
from services.schedule_manager.events.views import described_rule, listed_rule, rule_spec
from services.schedule_manager.pages import page
from services.schedule_manager.passing import PassedRole
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.resources import Resources

Json = dict[str, Any]
_PUT = (
    "Name", "ScheduleExpression", "EventPattern", "State", "Description", "RoleArn", "Tags", "EventBusName",
)  # fmt: skip


class RuleOperations:
    """One declared method per operation."""

    def __init__(self, directory: EventDirectory, access: CallerAccess, passed: PassedRole) -> None:
        self._directory, self._access, self._passed = directory, access, passed

    @operation("PutRule", permission=("update", EVENT_RULE), understands=_PUT)
    async def put_rule(self, call: RequestContext, request: Json) -> Json:
        """Also makes it. Its targets stay, and so do its tags, once it is there."""
        bus, tags = bus_in(request), wanted_tags(request.get("Tags") or ())
        acting = await self._acting(call, request["Name"], bus)
        await self._directory.require_bus(call, bus)
        before = await self._directory.rule(call, request["Name"], bus)
        spec = rule_spec(request, call.region, before)
        for arn in _roles_of(spec):
            await self._passed.require(call, arn)
        if before is not None:

            def edit(rule: EventRule) -> None:
                kept = {"rule_name": rule.spec.rule_name, "region": rule.spec.region}
                rule.spec = rule_spec(request, call.region, rule).model_copy(update=kept)

            return {"RuleArn": arn_of_rule(await self._directory.change_rule(acting, before, edit))}
        if sum(1 for _ in self._directory.rules_of(call, bus)) >= MOST_RULES:
            raise errors.too_many()
        spec.tags = tags or None
        name = rule_resource(request["Name"], bus, call.region)
        made = EVENT_RULE.new(name, namespace=call.namespace, spec=spec)
        try:
            return {"RuleArn": arn_of_rule(self._directory.rules.put(await acting.create(EVENT_RULE, made)))}
        except AlreadyExists:  # by somebody else, just now
            raise errors.validation(f"Rule {request['Name']} was made by somebody else just now.") from None

    @operation("DescribeRule", permission=("get", EVENT_RULE), understands=("Name", "EventBusName"))
    async def describe_rule(self, call: RequestContext, request: Json) -> Json:
        bus = bus_in(request)
        await self._access.require(call, rule_resource(request["Name"], bus, call.region))
        return described_rule(await self._directory.require_rule(call, request["Name"], bus))

    @operation(
        "ListRules",
        permission=("list", EVENT_RULE),
        understands=("NamePrefix", "EventBusName", "NextToken", "Limit"),
    )
    async def list_rules(self, call: RequestContext, request: Json) -> Json:
        await self._access.require(call)
        bus, prefix = bus_in(request), request.get("NamePrefix") or ""
        await self._directory.require_bus(call, bus)
        found = [each for each in self._directory.rules_of(call, bus) if rule_name(each).startswith(prefix)]
        scope = ["rules", call.account, call.region, bus, prefix]
        rows, more = page(found, rule_name, scope, request)
        return {"Rules": [listed_rule(each) for each in rows], **more}

    @operation("EnableRule", permission=("update", EVENT_RULE), understands=("Name", "EventBusName"))
    async def enable_rule(self, call: RequestContext, request: Json) -> None:
        await self._switch(call, request, on=True)

    @operation("DisableRule", permission=("update", EVENT_RULE), understands=("Name", "EventBusName"))
    async def disable_rule(self, call: RequestContext, request: Json) -> None:
        await self._switch(call, request, on=False)

    @operation("DeleteRule", permission=("delete", EVENT_RULE), understands=("Name", "EventBusName", "Force"))
    async def delete_rule(self, call: RequestContext, request: Json) -> None:
        """One that is not there is gone already. `Force` is about rules of AWS's own services."""
        bus = bus_in(request)
        acting = await self._acting(call, request["Name"], bus)
        found = await self._directory.rule(call, request["Name"], bus)
        if found is None:
            await self._directory.require_bus(call, bus)
            return
        if found.spec.targets:
            raise errors.validation("Rule can't be deleted since it has targets.")
        meta = found.metadata
        with suppress(NotFound):
            await acting.delete(EVENT_RULE, meta.name, meta.namespace, uid=meta.uid)
        self._directory.rules.drop(found)

    async def _switch(self, call: RequestContext, request: Json, *, on: bool) -> None:
        bus = bus_in(request)
        acting = await self._acting(call, request["Name"], bus)
        found = await self._directory.require_rule(call, request["Name"], bus)
        for arn in _roles_of(found.spec) if on else ():
            await self._passed.require(call, arn)

        def edit(rule: EventRule) -> None:
            rule.spec.enabled = on

        await self._directory.change_rule(acting, found, edit)

    async def _acting(self, call: RequestContext, name: str, bus: str) -> Resources:
        return await self._access.resources_for(call, rule_resource(name, bus, call.region))


def _roles_of(spec: EventRuleSpec) -> list[str]:
    """Whoever says when a rule calls its targets has these roles used."""
    found = {spec.role_arn, *(each.role_arn for each in spec.targets)}
    return sorted(each for each in found if each)
