"""EventBridge's operations about the targets of rules.

Source: Amazon EventBridge API reference, PutTargets, RemoveTargets, ListTargetsByRule, ListRuleNamesByTarget.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.schedule_manager.events import errors
from services.schedule_manager.events.directory import EventDirectory, bus_in
from services.schedule_manager.events.kinds import EVENT_RULE, MOST_TARGETS, EventRule, EventTarget
from services.schedule_manager.events.names import rule_resource
from services.schedule_manager.events.planning import rule_name
from services.schedule_manager.events.views import described_target, target_from, validated
from services.schedule_manager.pages import page
from services.schedule_manager.passing import PassedRole
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.resources import Resources

Json = dict[str, Any]
_Targets = list[EventTarget]


class TargetOperations:
    """One declared method per operation."""

    def __init__(self, directory: EventDirectory, access: CallerAccess, passed: PassedRole) -> None:
        self._directory, self._access, self._passed = directory, access, passed

    @operation("PutTargets", permission=("update", EVENT_RULE), understands=("Rule", "EventBusName", "Targets"))
    async def put_targets(self, call: RequestContext, request: Json) -> Json:
        """One of the same id is replaced. All of them are put, or none."""
        acting, rule = await self._rule(call, request)
        wanted = [target_from(each) for each in request["Targets"]]
        for arn in sorted({each.role_arn for each in wanted if each.role_arn}):
            await self._passed.require(call, arn)
        if rule.spec.role_arn and any(each.takes_role and not each.role_arn for each in wanted):
            await self._passed.require(call, rule.spec.role_arn)

        def merged(before: list[EventTarget]) -> list[EventTarget]:
            found = {each.id: each for each in (*before, *wanted)}
            if len(found) > MOST_TARGETS:
                raise errors.too_many()
            return list(found.values())

        await self._replace(acting, rule, merged)
        return {"FailedEntryCount": 0, "FailedEntries": []}

    @operation(
        "RemoveTargets", permission=("update", EVENT_RULE), understands=("Rule", "EventBusName", "Ids", "Force")
    )
    async def remove_targets(self, call: RequestContext, request: Json) -> Json:
        """`Force` is about rules of AWS's services, of which there are none."""
        acting, rule = await self._rule(call, request)
        gone = set(request["Ids"])
        if any(each.id in gone for each in rule.spec.targets):
            await self._replace(acting, rule, lambda before: [each for each in before if each.id not in gone])
        return {"FailedEntryCount": 0, "FailedEntries": []}

    @operation(
        "ListTargetsByRule",
        permission=("get", EVENT_RULE),
        understands=("Rule", "EventBusName", "NextToken", "Limit"),
    )
    async def list_targets_by_rule(self, call: RequestContext, request: Json) -> Json:
        bus = bus_in(request)
        await self._access.require(call, rule_resource(request["Rule"], bus, call.region))
        rule = await self._directory.require_rule(call, request["Rule"], bus)
        scope = ["targets", call.account, call.region, bus, request["Rule"]]
        rows, more = page(rule.spec.targets, lambda each: each.id, scope, request)
        return {"Targets": [described_target(each) for each in rows], **more}

    @operation(
        "ListRuleNamesByTarget",
        permission=("list", EVENT_RULE),
        understands=("TargetArn", "EventBusName", "NextToken", "Limit"),
    )
    async def list_rule_names_by_target(self, call: RequestContext, request: Json) -> Json:
        await self._access.require(call)
        bus, arn = bus_in(request), request["TargetArn"]
        await self._directory.require_bus(call, bus)
        found = [
            rule_name(rule)
            for rule in self._directory.rules_of(call, bus)
            if any(each.arn == arn for each in rule.spec.targets)
        ]
        scope = ["rule names", call.account, call.region, bus, arn]
        rows, more = page(found, str, scope, request)
        return {"RuleNames": rows, **more}

    async def _rule(self, call: RequestContext, request: Json) -> tuple[Resources, EventRule]:
        """Raises AwsError, Forbidden."""
        bus = bus_in(request)
        acting = await self._access.resources_for(call, rule_resource(request["Rule"], bus, call.region))
        return acting, await self._directory.require_rule(call, request["Rule"], bus)

    async def _replace(self, acting: Resources, rule: EventRule, change: Callable[[_Targets], _Targets]) -> None:
        def edit(rule: EventRule) -> None:
            targets = [each.wire() for each in change(rule.spec.targets)]
            rule.spec = validated({**rule.spec.wire(), "targets": targets})

        await self._directory.change_rule(acting, rule, edit)
