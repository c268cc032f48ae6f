"""The notification configuration of a bucket: which events go to which queue or topic, and whether all of them go to
the account's event bus.

Source: S3 user guide, "Amazon S3 Event Notifications", "Supported event types", "Using EventBridge"; S3 API
reference, PutBucketNotificationConfiguration.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple, Self
from uuid import uuid4

from services.sdk.aws.arns import parse_arn
from services.storage_manager.configuration.documents import Document
from services.storage_manager.errors import S3Error

MOST_CONFIGURATIONS, LONGEST_ID, LONGEST_VALUE = 100, 255, 1024
# What happens here, without `s3:`.
EVENTS = (
    *("ObjectCreated:Put", "ObjectCreated:Post", "ObjectCreated:Copy", "ObjectCreated:CompleteMultipartUpload"),
    *("ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated"),
    *("LifecycleExpiration:Delete", "LifecycleExpiration:DeleteMarkerCreated"),
    *("ObjectTagging:Put", "ObjectTagging:Delete", "ObjectAcl:Put"),
)
_WILD = frozenset(f"{each.partition(':')[0]}:*" for each in EVENTS if not each.startswith("ObjectAcl"))
# What AWS tells of and never happens here, by how it begins.
_NEVER = {
    "ObjectRestore": "objects are not moved to where they must be fetched from first",
    "ReducedRedundancyLostObject": "there is one storage class",
    "Replication": "buckets are not copied to other clouds",
    "LifecycleTransition": "there is one storage class",
    "IntelligentTiering": "there is one storage class",
    "ObjectAnnotation": "objects have no annotations",
}
_TARGETS = {"QueueConfigurations": ("QueueArn", "sqs"), "TopicConfigurations": ("TopicArn", "sns")}
_BUS = "EventBridgeConfiguration"


class Target(NamedTuple):
    """Who is told, by which configuration."""

    id: str
    arn: str


def check_notification(document: Document) -> Document:
    """With an id in each configuration. Raises S3Error InvalidArgument, NotImplemented."""
    if document.get("LambdaFunctionConfigurations"):
        raise S3Error("NotImplemented", "LambdaFunctionConfigurations: there are no functions in this cloud")
    if sum(len(document.get(name) or []) for name in _TARGETS) > MOST_CONFIGURATIONS:
        raise S3Error("InvalidArgument", f"a bucket has at most {MOST_CONFIGURATIONS} notification configurations")
    found = {name: [_checked(each, *how) for each in document.get(name) or []] for name, how in _TARGETS.items()}
    everything = [each for group in found.values() for each in group]
    if len({each["Id"] for each in everything}) < len(everything):
        raise S3Error("InvalidArgument", "Same ID used for multiple configurations. IDs must be unique")
    for one, other in combinations([_Scope.of(each) for each in everything], 2):
        _require_apart(one, other)
    return {name: group for name, group in found.items() if group} | ({_BUS: {}} if _BUS in document else {})


def tells_bus(document: Document) -> bool:
    """Whether a checked document has all events go to the event bus, too."""
    return _BUS in document


def targets_of(document: Document) -> Iterator[Target]:
    """All queues and topics that a checked document names."""
    for name, (member, _) in _TARGETS.items():
        for each in document.get(name, ()):
            yield Target(each["Id"], each[member])


def told(document: Document, event: str, key: str) -> list[Target]:
    """Which queues and topics are told of that event of that object by a checked document."""
    return [
        Target(each["Id"], each[member])
        for name, (member, _) in _TARGETS.items()
        for each in document.get(name, ())
        if any(_is_of(event, wanted) for wanted in each["Events"]) and _has_name(each, key)
    ]


def _checked(each: Document, member: str, service: str) -> Document:
    arn = parse_arn(each[member])
    if arn is None or arn.service != service or not arn.account or not arn.resource:
        raise S3Error("InvalidArgument", f"{member}: {each[member][:200]} is no ARN of {service}")
    if arn.resource.endswith(".fifo"):
        raise S3Error("InvalidArgument", f"{member}: events do not go to FIFO queues and topics")
    id = each.get("Id") or str(uuid4())
    if len(id) > LONGEST_ID:
        raise S3Error("InvalidArgument", f"Id: at most {LONGEST_ID} characters")
    if not each["Events"]:
        raise S3Error("MalformedXML", "Event: each configuration names one at least")
    events = list(dict.fromkeys(each["Events"]))
    for event in events:
        _require_known(event)
    rules = [_checked_rule(rule) for rule in each.get("Filter", {}).get("Key", {}).get("FilterRules", ())]
    if len({rule["Name"] for rule in rules}) < len(rules):
        raise S3Error("InvalidArgument", "Cannot specify more than one prefix or suffix rule in a filter.")
    checked = {"Id": id, member: each[member], "Events": events}
    return checked | ({"Filter": {"Key": {"FilterRules": rules}}} if rules else {})


def _require_known(event: str) -> None:
    plain = event.removeprefix("s3:")
    if event.startswith("s3:") and (plain in EVENTS or plain in _WILD):
        return
    if (why := _NEVER.get(plain.partition(":")[0])) is not None:
        raise S3Error("NotImplemented", f"{event}: {why}")
    raise S3Error("InvalidArgument", f"The event is not supported for notifications: {event[:100]}")


def _checked_rule(rule: Document) -> Document:
    name, value = str(rule.get("Name", "")).lower(), rule.get("Value", "")
    if name not in ("prefix", "suffix"):
        raise S3Error("InvalidArgument", "filter rule name must be either prefix or suffix")
    if len(value.encode()) > LONGEST_VALUE:
        raise S3Error("InvalidArgument", f"the value of a filter rule has at most {LONGEST_VALUE} bytes")
    return {"Name": name.capitalize(), "Value": value}


class _Scope(NamedTuple):
    """What a configuration is about: events of `EVENTS`, of objects of such names."""

    events: frozenset[str]
    begin: str
    end: str

    @classmethod
    def of(cls, each: Document) -> Self:
        events = frozenset(event for event in EVENTS if any(_is_of(event, wanted) for wanted in each["Events"]))
        return cls(events, _rule(each, "Prefix"), _rule(each, "Suffix"))


def _require_apart(one: _Scope, other: _Scope) -> None:
    """Raises S3Error where an object's event would be told by both."""
    begins = one.begin.startswith(other.begin) or other.begin.startswith(one.begin)
    ends = one.end.endswith(other.end) or other.end.endswith(one.end)
    if begins and ends and not one.events.isdisjoint(other.events):
        why = "Cannot have overlapping suffixes in two rules if the prefixes are overlapping for the same event type."
        raise S3Error("InvalidArgument", f"Configuration is ambiguously defined. {why}")


def _is_of(event: str, wanted: str) -> bool:
    """Whether the event, without `s3:`, is one of those meant."""
    wanted = wanted.removeprefix("s3:")
    return event == wanted or (wanted.endswith(":*") and event.startswith(wanted[:-1]))


def _has_name(each: Document, key: str) -> bool:
    return key.startswith(_rule(each, "Prefix")) and key.endswith(_rule(each, "Suffix"))


def _rule(each: Document, name: str) -> str:
    rules = each.get("Filter", {}).get("Key", {}).get("FilterRules", ())
    return next((str(rule["Value"]) for rule in rules if rule["Name"] == name), "")
