"""Invariants of queues, whoever writes: a queue is found by its name, its region and its kind of order, for good."""

from __future__ import annotations

from crds.invariants import Transition, changed, on, spec_of
from services.queue_manager.names import name_fault
from services.sdk.aws.resource_names import resource_name

QUEUE_MANAGER = "system:service:queue-manager"
MESSAGES = "aerekos.cloud/messages"
_LASTING = ("queueName", "region")


@on("create", "update")
def keeps_its_name(transition: Transition) -> None:
    """The resource is called after the name AWS knows, which ends in .fifo where the order is kept."""
    before, spec = spec_of(transition.before), spec_of(transition.after)
    if transition.operation == "update":
        for field in _LASTING:
            if changed(transition, field):
                raise transition.invalid(f"spec.{field}", "cannot be changed; make another queue")
        if (before.get("fifo") is None) != (spec.get("fifo") is None):
            raise transition.invalid("spec.fifo", "a queue is FIFO from its birth or never; make another queue")
    name, region = spec.get("queueName") or transition.key.name, spec.get("region") or ""
    if transition.operation == "create" and (fault := name_fault(name, fifo=spec.get("fifo") is not None)):
        raise transition.invalid("spec.queueName", fault)
    if (wanted := resource_name(name, region)) != transition.key.name:
        where = f" in {region}" if region else ""
        text = f"the Queue of {name}{where} has to be called {wanted}, not {transition.key.name}"
        raise transition.invalid("metadata.name", text)
