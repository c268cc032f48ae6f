"""Invariants of log groups, whoever writes: a group is found by its name and its region, for good."""

from __future__ import annotations

from crds.invariants import Transition, changed, on, spec_of
from services.logs_manager.names import group_fault, group_resource

LOGS_MANAGER = "system:service:logs-manager"
LINES = "aerekos.cloud/log-lines"
_LASTING = ("groupName", "region")


@on("create", "update")
def keeps_its_name(transition: Transition) -> None:
    """The resource is called after the name AWS knows."""
    if transition.operation == "update":
        for field in _LASTING:
            if changed(transition, field):
                raise transition.invalid(f"spec.{field}", "cannot be changed; make another log group")
    spec = spec_of(transition.after)
    name, region = spec.get("groupName") or transition.key.name, spec.get("region") or ""
    if transition.operation == "create" and (fault := group_fault(name)):
        raise transition.invalid("spec.groupName", fault)
    if (wanted := group_resource(name, region)) != transition.key.name:
        where = f" in {region}" if region else ""
        text = f"the LogGroup of {name}{where} has to be called {wanted}, not {transition.key.name}"
        raise transition.invalid("metadata.name", text)
