"""One attempt to deliver a firing: what is sent, and what an answer means for it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple, Protocol

import orjson

from services.schedule_manager.events.plans import PlannedSpec
from services.schedule_manager.events.shaping import Rule, ShapingFault, shaped
from services.schedule_manager.names import DEFAULT_REGION
from services.schedule_manager.planning import moment
from services.schedule_manager.schedule_store import Firing
from services.schedule_manager.targets import Target, read_target
from services.sdk.aws.arns import parse_arn

DEAD_LETTER_LIMIT = 200_000
"""Of a dead letter's payload, in bytes: with its attributes, a message has 256 KiB."""


class DeliveryFault(Exception):
    """An attempt that failed. `code`: as whoever was called named it. `lasting`: trying again cannot help.
    `retry_after`: seconds for which whoever was called wants to be left alone.
    """

    def __init__(self, code: str, message: str, *, lasting: bool = False, retry_after: float = 0.0) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.lasting, self.retry_after = code, message, lasting, retry_after


class Occasion(NamedTuple):
    """A firing, and the schedule or rule it is of. `event`: what an event rule matched, JSON."""

    firing: Firing
    spec: PlannedSpec
    namespace: str
    account: str
    arn: str
    event: str = ""

    @property
    def region(self) -> str:
        """Where its own calls go."""
        return self.spec.region or DEFAULT_REGION

    @property
    def source_arn(self) -> str:
        """What trust policies know as `aws:SourceArn`: the schedule's group, or the rule."""
        if self.spec.bus:
            return self.arn
        begin, _, rest = self.arn.partition(":schedule/")
        return f"{begin}:schedule-group/{rest.partition('/')[0]}"


class Caller(Protocol):
    """Makes calls of AWS under roles, and posts to addresses."""

    async def call(
        self, occasion: Occasion, service: str, region: str, operation: str, request: dict[str, Any]
    ) -> None:
        """Under the role of the schedule. Raises DeliveryFault."""
        ...

    async def post(self, occasion: Occasion, url: str, body: bytes) -> None:
        """Raises DeliveryFault."""
        ...


class Delivery:
    """Sends what a schedule says."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def deliver(self, occasion: Occasion) -> None:
        """Raises DeliveryFault."""
        wanted = occasion.spec.target
        target, text = read_target(wanted.arn), input_of(occasion)
        if target.service == "https":
            await self._caller.post(occasion, wanted.arn, text.encode())
            return
        request = _request(occasion, target, text)
        arn = parse_arn(wanted.arn)
        region = (arn.region if arn is not None else "") or occasion.region
        await self._caller.call(occasion, target.service, region, target.operation, request)

    async def bury(self, occasion: Occasion) -> None:
        """Put what could not be delivered, and is exhausted, into the dead-letter queue. Raises DeliveryFault."""
        arn = parse_arn(occasion.spec.target.dead_letter_arn)
        assert arn is not None
        body = (dumped(event_of(occasion)) if occasion.spec.bus else input_of(occasion)).encode()
        code, _, message = occasion.firing.fault.partition(": ")
        told = {
            "ERROR_CODE": code,
            "ERROR_MESSAGE": message or code,
            "EXECUTION_ID": occasion.firing.id,
            "EXHAUSTED_RETRY_CONDITION": occasion.firing.exhausted,
            "IS_PAYLOAD_TRUNCATED": "true" if len(body) > DEAD_LETTER_LIMIT else "false",
            "RETRY_ATTEMPTS": str(max(occasion.firing.attempts - 1, 0)),
            **_whose(occasion),
            "TARGET_ARN": occasion.spec.target.arn,
        }
        request = {
            "QueueUrl": queue_url(arn.region, arn.account, arn.resource),
            "MessageBody": body[:DEAD_LETTER_LIMIT].decode(errors="ignore"),
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value} for name, value in told.items() if value
            },
        }
        await self._caller.call(occasion, "sqs", arn.region, "SendMessage", request)


def input_of(occasion: Occasion) -> str:
    """The input with its keywords replaced; where there is none, the event that AWS sends. For a rule, what its
    target makes of the event. Raises DeliveryFault.
    """
    firing, spec, text = occasion.firing, occasion.spec, occasion.spec.target.input
    if spec.bus:
        return _shaped(occasion)
    if not text:
        return dumped(_scheduled(occasion, "aws.scheduler", "{}"))
    for keyword, value in (
        ("schedule-arn", occasion.arn),
        ("scheduled-time", time_text(moment(firing.due))),
        ("execution-id", firing.id),
        ("attempt-number", str(firing.attempts + 1)),
    ):
        text = text.replace(f"<aws.scheduler.{keyword}>", value)
    return text


def _shaped(occasion: Occasion) -> str:
    spec = occasion.spec
    try:
        return shaped(event_of(occasion), spec.shaping, Rule(occasion.arn, spec.schedule_name))
    except ShapingFault as odd:
        raise DeliveryFault("InvalidInput", str(odd), lasting=True) from None


def queue_url(region: str, account: str, name: str) -> str:
    """As SQS reads it: only the account and the name count."""
    return f"https://sqs.{region}.amazonaws.com/{account}/{name}"


def time_text(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def _request(occasion: Occasion, target: Target, text: str) -> dict[str, Any]:
    """Raises DeliveryFault for an input that is no request any more once its keywords were replaced."""
    if target.universal:
        try:
            found = orjson.loads(text)
        except ValueError:
            raise DeliveryFault("InvalidInput", "the input is no JSON", lasting=True) from None
        return dict(found)
    arn = parse_arn(occasion.spec.target.arn)
    assert arn is not None
    if target.service == "sns":
        return {"TopicArn": str(arn), "Message": text}
    message = {"QueueUrl": queue_url(arn.region, arn.account, arn.resource), "MessageBody": text}
    group = occasion.spec.target.message_group_id
    if group:
        message |= {"MessageGroupId": group, "MessageDeduplicationId": occasion.firing.id}
    return message


def event_of(occasion: Occasion) -> dict[str, Any]:
    """What a rule sends: the event it matched, or the one that it makes at its time."""
    if occasion.event:
        return dict(orjson.loads(occasion.event))
    return _scheduled(occasion, "aws.events", {})


def dumped(value: Any) -> str:
    return orjson.dumps(value).decode()


def _scheduled(occasion: Occasion, source: str, detail: Any) -> dict[str, Any]:
    return {
        "version": "0",
        "id": occasion.firing.id,
        "detail-type": "Scheduled Event",
        "source": source,
        "account": occasion.account,
        "time": time_text(moment(occasion.firing.due)),
        "region": occasion.region,
        "resources": [occasion.arn],
        "detail": detail,
    }


def _whose(occasion: Occasion) -> dict[str, str]:
    """What a dead letter says of where it comes from."""
    if occasion.spec.bus:
        return {"RULE_ARN": occasion.arn}
    return {"SCHEDULED_TIME": time_text(moment(occasion.firing.due)), "SCHEDULE_ARN": occasion.arn}
