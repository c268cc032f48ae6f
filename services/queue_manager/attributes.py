"""Attributes of a queue, as SQS has them, to and from the spec of its resource.

Source: Amazon SQS API reference, SetQueueAttributes, GetQueueAttributes, CreateQueue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from services.queue_manager import errors
from services.queue_manager.kinds import Fifo, QueueSpec, Redrive, RedriveAllow
from services.queue_manager.names import parse_queue_arn
from services.queue_manager.queue_policy import policy_fault
from services.sdk.aws.errors import AwsError

Json = dict[str, Any]
_DIGITS = frozenset("0123456789")
_LONGEST_NUMBER = 10


class _Number(NamedTuple):
    field: str
    least: int
    most: int


_NUMBERS = {
    "VisibilityTimeout": _Number("visibilityTimeoutSeconds", 0, 43_200),
    "DelaySeconds": _Number("delaySeconds", 0, 900),
    "MessageRetentionPeriod": _Number("retentionSeconds", 60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": _Number("receiveWaitSeconds", 0, 20),
    "MaximumMessageSize": _Number("maximumMessageBytes", 1024, 1_048_576),
}
_FIFO: dict[str, tuple[str, tuple[str, ...]]] = {
    "ContentBasedDeduplication": ("contentBasedDeduplication", ("true", "false")),
    "DeduplicationScope": ("deduplicationScope", ("queue", "messageGroup")),
    "FifoThroughputLimit": ("throughputLimit", ("perQueue", "perMessageGroupId")),
}
_BOOLEANS = frozenset({"FifoQueue", "ContentBasedDeduplication", "SqsManagedSseEnabled"})
"""AWS takes them in whatever case."""
_NO_KEYS = "messages are not encrypted at rest here"
COUNTED = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_READ_ONLY = (*COUNTED, "CreatedTimestamp", "LastModifiedTimestamp", "QueueArn")
KNOWN = frozenset(
    {*_NUMBERS, *_FIFO, *_READ_ONLY, "Policy", "RedrivePolicy", "RedriveAllowPolicy", "FifoQueue"}
    | {"SqsManagedSseEnabled", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "All"}
)


def spec_patch(attributes: Mapping[str, str], *, fifo: bool, creating: bool = False) -> Json:
    """The changes of the spec that these attributes mean: JSON, as a merge patch has it. Raises AwsError."""
    patch: Json = {}
    for name, said in attributes.items():
        value = said.lower() if name in _BOOLEANS else said
        if name in _NUMBERS:
            patch[_NUMBERS[name].field] = _number(name, value)
        elif name in _FIFO:
            patch.setdefault("fifo", {}).update(_fifo_field(name, value, fifo=fifo))
        elif name in _DOCUMENTS:
            field, read = _DOCUMENTS[name]
            patch[field] = read(value) if value else ("" if field == "policy" else None)
        elif name == "FifoQueue":
            _require_fifo(value, fifo=fifo, creating=creating)
        else:
            _require_unencrypted(name, value)
    return patch


def new_spec(attributes: Mapping[str, str], *, fifo: bool) -> QueueSpec:
    """The spec of a queue that is to be made. Raises AwsError."""
    made = spec_patch(attributes, fifo=fifo, creating=True)
    if fifo:
        made.setdefault("fifo", {})
    return _valid(made)


def require_valid(spec: QueueSpec, patch: Json) -> None:
    """Raises AwsError where the spec would not be one with that patch."""
    before = spec.wire()
    after = {**before, **patch}
    if isinstance(patch.get("fifo"), dict):
        after["fifo"] = {**(before.get("fifo") or {}), **patch["fifo"]}
    _valid({name: value for name, value in after.items() if value is not None})


def shown(spec: QueueSpec) -> dict[str, str]:
    """What a spec says, as GetQueueAttributes answers."""
    wire = {**QueueSpec().wire(), **spec.wire()}
    found = {name: str(wire[each.field]) for name, each in _NUMBERS.items()}
    found["SqsManagedSseEnabled"] = "false"
    if spec.policy:
        found["Policy"] = spec.policy
    if spec.redrive is not None:
        found["RedrivePolicy"] = _json(
            deadLetterTargetArn=spec.redrive.dead_letter_target_arn, maxReceiveCount=spec.redrive.max_receive_count
        )
    if spec.redrive_allow is not None:
        sources = spec.redrive_allow.source_queue_arns
        named = {"sourceQueueArns": sources} if sources else {}
        found["RedriveAllowPolicy"] = _json(redrivePermission=spec.redrive_allow.permission, **named)
    if spec.fifo is not None:
        found["FifoQueue"] = "true"
        found["ContentBasedDeduplication"] = str(spec.fifo.content_based_deduplication).lower()
        found["DeduplicationScope"] = spec.fifo.deduplication_scope
        found["FifoThroughputLimit"] = spec.fifo.throughput_limit
    return found


def _number(name: str, value: str) -> int:
    known = _NUMBERS[name]
    if not value or len(value) > _LONGEST_NUMBER or not _DIGITS.issuperset(value):
        raise errors.invalid_attribute_value(name)
    number = int(value)
    if not known.least <= number <= known.most:
        raise errors.invalid_attribute_value(name, f"it must be from {known.least} to {known.most}")
    return number


def _fifo_field(name: str, value: str, *, fifo: bool) -> Json:
    if not fifo:
        raise errors.invalid_attribute_name(name)
    field, values = _FIFO[name]
    if value not in values:
        raise errors.invalid_attribute_value(name, f"it must be {' or '.join(values)}")
    return {field: value == "true" if "true" in values else value}


def _require_fifo(value: str, *, fifo: bool, creating: bool) -> None:
    if value not in ("true", "false"):
        raise errors.invalid_attribute_value("FifoQueue")
    if not creating or not fifo:
        raise errors.invalid_attribute_name("FifoQueue")


def _require_unencrypted(name: str, value: str) -> None:
    if name in ("KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds"):
        if value and name == "KmsMasterKeyId":
            raise errors.invalid_attribute_value(name, _NO_KEYS)
    elif name == "SqsManagedSseEnabled":
        if value != "false":
            raise errors.invalid_attribute_value(name, _NO_KEYS)
    else:
        raise errors.invalid_attribute_name(name)


def _policy(text: str) -> str:
    if fault := policy_fault(text):
        raise errors.invalid_attribute_value("Policy", fault)
    return text


def _redrive(text: str) -> Json:
    said = _object("RedrivePolicy", text, ("deadLetterTargetArn", "maxReceiveCount"))
    count = said.get("maxReceiveCount")
    if isinstance(count, str) and 0 < len(count) <= _LONGEST_NUMBER and _DIGITS.issuperset(count):
        count = int(count)
    arn = said.get("deadLetterTargetArn")
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 1000:
        raise errors.invalid_parameter(text, "RedrivePolicy", "Invalid value for maxReceiveCount: 1 to 1000")
    if not isinstance(arn, str) or parse_queue_arn(arn) is None:
        raise errors.invalid_parameter(text, "RedrivePolicy", "Invalid value for deadLetterTargetArn")
    return Redrive(dead_letter_target_arn=arn, max_receive_count=count).wire()


def _redrive_allow(text: str) -> Json:
    said = _object("RedriveAllowPolicy", text, ("redrivePermission", "sourceQueueArns"))
    try:
        return RedriveAllow(
            permission=said.get("redrivePermission"),
            source_queue_arns=said.get("sourceQueueArns") or [],
        ).wire()
    except ValidationError as wrong:
        raise errors.invalid_parameter(text, "RedriveAllowPolicy", wrong.errors()[0]["msg"]) from None


_DOCUMENTS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "Policy": ("policy", _policy),
    "RedrivePolicy": ("redrive", _redrive),
    "RedriveAllowPolicy": ("redriveAllow", _redrive_allow),
}


def _object(name: str, text: str, members: tuple[str, ...]) -> Json:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise errors.invalid_parameter(text, name, "Redrive policy is not a valid JSON map") from None
    if not isinstance(found, dict):
        raise errors.invalid_parameter(text, name, "Redrive policy is not a valid JSON map")
    if surplus := sorted(set(found) - set(members)):
        raise errors.invalid_parameter(text, name, f"it has no member {surplus[0][:100]}")
    return found


def _valid(wire: Json) -> QueueSpec:
    try:
        return QueueSpec.model_validate(wire)
    except ValidationError as wrong:
        first = wrong.errors()[0]
        name = _named(first["loc"])
        raise errors.invalid_attribute_value(name, first["msg"]) from None


def _named(where: tuple[int | str, ...]) -> str:
    fields = {each.field: name for name, each in _NUMBERS.items()} | {"fifo": "FifoThroughputLimit"}
    return fields.get(str(where[0]), str(where[0])) if where else "Attributes"


def _json(**members: Any) -> str:
    return orjson.dumps(members).decode()


__all__ = ["COUNTED", "KNOWN", "AwsError", "Fifo", "new_spec", "require_valid", "shown", "spec_patch"]
