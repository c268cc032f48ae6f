"""Invariants of topics and subscriptions, whoever writes."""

from __future__ import annotations

from crds.invariants import Transition, changed, on, spec_of
from services.queue_manager.topic_names import parse_topic_arn, topic_name_fault
from services.sdk.aws.accounts import account_of
from services.sdk.aws.resource_names import resource_name


@on("create", "update")
def keeps_its_topic_name(transition: Transition) -> None:
    """The resource is called after the name AWS knows, for good."""
    before, spec = spec_of(transition.before), spec_of(transition.after)
    if transition.operation == "update":
        for field in ("topicName", "region"):
            if changed(transition, field):
                raise transition.invalid(f"spec.{field}", "cannot be changed; make another topic")
        if (before.get("fifo") is None) != (spec.get("fifo") is None):
            raise transition.invalid("spec.fifo", "a topic is FIFO from its birth or never; make another topic")
    name, region = spec.get("topicName") or transition.key.name, spec.get("region") or ""
    fault = topic_name_fault(name, fifo=spec.get("fifo") is not None)
    if transition.operation == "create" and fault:
        raise transition.invalid("spec.topicName", fault)
    if (wanted := resource_name(name, region)) != transition.key.name:
        raise transition.invalid("metadata.name", f"the Topic of {name} has to be called {wanted}")


@on("create", "update")
def keeps_its_topic(transition: Transition) -> None:
    """A subscription is of a topic of its own namespace: whoever writes there may not listen elsewhere."""
    for field in ("topicArn", "protocol", "endpoint") if transition.operation == "update" else ():
        if changed(transition, field):
            raise transition.invalid(f"spec.{field}", "cannot be changed; make another subscription")
    named = parse_topic_arn(str(spec_of(transition.after).get("topicArn") or ""))
    if named is not None and named.account != account_of(transition.key.namespace):
        raise transition.invalid("spec.topicArn", "is of another account; subscribe by SNS, which asks its policy")
