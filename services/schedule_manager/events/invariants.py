"""Invariants of event buses and rules, whoever writes: they are found by names, which stay what they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crds.invariants import Transition, on, spec_of
from services.schedule_manager.events.names import DEFAULT_BUS, bus_resource, rule_resource
from services.schedule_manager.invariants import require_lasting
from services.sdk.aws.accounts import account_of
from services.sdk.aws.arns import parse_arn


@on("create", "update")
def keeps_the_rule_s_name(transition: Transition) -> None:
    """A rule is called after its name and bus in AWS, for good; its roles are those of its own account."""
    require_lasting(transition, ("ruleName", "bus", "region"))
    name, spec = transition.key.name, spec_of(transition.after)
    rule, bus = spec.get("ruleName") or name, spec.get("bus") or DEFAULT_BUS
    if (wanted := rule_resource(rule, bus, spec.get("region") or "")) != name:
        text = f"the EventRule {rule} of the bus {bus} has to be called {wanted}, not {name}"
        raise transition.invalid("metadata.name", text)
    account = account_of(transition.key.namespace)
    for field, arn in roles_said(spec):
        parsed = parse_arn(arn)
        if parsed is not None and parsed.account != account:
            raise transition.invalid(field, f"must be a role of the rule's own account, {account}")


@on("create", "update")
def keeps_the_bus_s_name(transition: Transition) -> None:
    """A bus is called after its name in AWS, for good."""
    require_lasting(transition, ("busName", "region"))
    name, spec = transition.key.name, spec_of(transition.after)
    bus = spec.get("busName") or name
    if bus == DEFAULT_BUS:
        raise transition.invalid("spec.busName", "the bus default is there always, and is not made")
    if (wanted := bus_resource(bus, spec.get("region") or "")) != name:
        raise transition.invalid("metadata.name", f"the EventBus {bus} has to be called {wanted}, not {name}")


def roles_said(spec: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where each role is said, and its ARN: as they were sent, nothing is proven of them yet."""
    found = [("spec.roleArn", str(spec.get("roleArn") or ""))]
    targets = spec.get("targets")
    for at, each in enumerate(targets if isinstance(targets, list) else ()):
        if isinstance(each, Mapping):
            found.append((f"spec.targets[{at}].roleArn", str(each.get("roleArn") or "")))
    return found
