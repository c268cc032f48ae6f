"""Invariants of schedules and their groups, whoever writes: they are found by names, which stay what they are."""

from __future__ import annotations

from crds.invariants import Transition, changed, on, spec_of
from services.schedule_manager.names import DEFAULT_GROUP, group_resource, schedule_resource
from services.sdk.aws.accounts import account_of
from services.sdk.aws.arns import parse_arn

SCHEDULE_MANAGER = "system:service:schedule-manager"


@on("create", "update")
def keeps_its_name(transition: Transition) -> None:
    """A schedule is called after its name and group in AWS, for good; its role is one of its own account."""
    require_lasting(transition, ("scheduleName", "group", "region"))
    name, spec = transition.key.name, spec_of(transition.after)
    schedule, group = spec.get("scheduleName") or name, spec.get("group") or DEFAULT_GROUP
    wanted = schedule_resource(schedule, group, spec.get("region") or "")
    if wanted != name:
        text = f"the Schedule {schedule} of the group {group} has to be called {wanted}, not {name}"
        raise transition.invalid("metadata.name", text)
    _require_own_role(transition)


@on("create", "update")
def keeps_the_group_s_name(transition: Transition) -> None:
    """A group is called after its name in AWS, for good."""
    require_lasting(transition, ("groupName", "region"))
    name, spec = transition.key.name, spec_of(transition.after)
    group = spec.get("groupName") or name
    if group == DEFAULT_GROUP:
        raise transition.invalid("spec.groupName", "the group default is there always, and is not made")
    if (wanted := group_resource(group, spec.get("region") or "")) != name:
        raise transition.invalid("metadata.name", f"the ScheduleGroup {group} has to be called {wanted}, not {name}")


def require_lasting(transition: Transition, fields: tuple[str, ...]) -> None:
    if transition.operation != "update":
        return
    for field in fields:
        if changed(transition, field):
            raise transition.invalid(f"spec.{field}", "cannot be changed; make another one")


def _require_own_role(transition: Transition) -> None:
    """A role of another account would have to trust somebody it cannot tell from others."""
    target = spec_of(transition.after).get("target")
    role = parse_arn(str(target.get("roleArn") or "")) if isinstance(target, dict) else None
    account = account_of(transition.key.namespace)
    if role is not None and role.account != account:
        raise transition.invalid("spec.target.roleArn", f"must be a role of the schedule's own account, {account}")
