"""The way to queues, topics and event buses: in this service's own name, which policies know as `s3.amazonaws.com`.

Nothing of the cloud's roles gives it the right to queues and topics: a destination's own policy does, or nobody. It
may ask for the bucket (`aws:SourceArn`) and its account (`aws:SourceAccount`). An account's own bus takes what its
buckets are told to send there.
Source: Amazon SQS API reference, SendMessageBatch; Amazon SNS API reference, PublishBatch; Amazon EventBridge API
reference, PutEvents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

import orjson

from crds.errors import ApiError
from services.sdk.aws.arns import Arn, parse_arn
from services.sdk.aws.rest_xml import parse
from services.sdk.aws.service_callers import REGION, SOURCE_ARN
from services.sdk.clients.service_client import ServiceClient
from services.storage_manager.notifications.outbox import Route, Waiting

_JSON_0, _JSON_1 = "application/x-amz-json-1.0", "application/x-amz-json-1.1"
_FORM = "application/x-www-form-urlencoded"
# What a bus says of an event that it may take later.
_LATER = frozenset({"ThrottlingException", "InternalFailure", "InternalException"})
_SUBJECT = "Amazon S3 Notification"
Json = dict[str, Any]
# Of a batch: the entries that were taken, and those that were not.
Outcomes = tuple[list[Json], list[Json]]
# Of which a batch has at most so many, and so many bytes.
MOST_AT_ONCE, MOST_BYTES = 10, 200_000


class Sent(NamedTuple):
    """The numbers of events that a destination took, and of those that it never will; `why` it does not."""

    taken: list[int]
    refused: list[int]
    why: str = ""


class Undelivered(Exception):
    """Why a destination did not take it; trying again later may help."""


class Sends(Protocol):
    """The way to destinations."""

    async def send(self, route: Route, events: Sequence[Waiting]) -> Sent:
        """One call, with some of them. Raises Undelivered."""
        ...


class Destinations:
    """`queues` is the client of the service that has queues and topics, `buses` of the one that has event buses."""

    def __init__(self, queues: ServiceClient, buses: ServiceClient) -> None:
        self._queues, self._buses = queues, buses

    async def send(self, route: Route, events: Sequence[Waiting]) -> Sent:
        """One call, with as many of the first as fit. Raises Undelivered where nothing came of it."""
        arn = parse_arn(route.target)
        if arn is None:
            raise Undelivered(f"{route.target} is no ARN")
        fitting = _fitting(events)
        asked = {"sns": self._published, "events": self._put}.get(arn.service, self._sent)
        return _sent(fitting, *await asked(route, arn, fitting))

    async def _sent(self, route: Route, arn: Arn, fitting: Sequence[Waiting]) -> Outcomes:
        asked = {
            "QueueUrl": f"https://sqs.{arn.region}.amazonaws.com/{arn.account}/{arn.resource}",
            "Entries": [{"Id": str(at), "MessageBody": each.body} for at, each in enumerate(fitting)],
        }
        headers = {"content-type": _JSON_0, "x-amz-target": "AmazonSQS.SendMessageBatch"}
        response = await self._asked(self._queues, route, arn, "/", headers, json=asked)
        answer = _json(response)
        if response.status_code != 200:
            raise Undelivered(f"{_plain(answer.get('__type'))}: {answer.get('message') or answer.get('Message')}")
        return list(answer.get("Successful", ())), list(answer.get("Failed", ()))

    async def _published(self, route: Route, arn: Arn, fitting: Sequence[Waiting]) -> Outcomes:
        form = {"Action": "PublishBatch", "Version": "2010-03-31", "TopicArn": str(arn)}
        for at, each in enumerate(fitting):
            entry = f"PublishBatchRequestEntries.member.{at + 1}"
            form |= {f"{entry}.Id": str(at), f"{entry}.Message": each.body, f"{entry}.Subject": _SUBJECT}
        content = urlencode(form).encode()
        response = await self._asked(self._queues, route, arn, "/sns", {"content-type": _FORM}, content=content)
        if response.status_code != 200:
            raise Undelivered(_told(response.content))
        try:
            answer = parse(response.content)
        except ValueError as wrong:
            raise Undelivered("it does not answer as topics do") from wrong
        return _members(answer, "Successful"), _members(answer, "Failed")

    async def _put(self, route: Route, arn: Arn, fitting: Sequence[Waiting]) -> Outcomes:
        """Of what a bus refuses for good only the first is believed: the others of a request share with it what a
        request may cost, and come first in a later one.
        """
        asked = {"Entries": [{**orjson.loads(each.body), "EventBusName": str(arn)} for each in fitting]}
        headers = {"content-type": _JSON_1, "x-amz-target": "AWSEvents.PutEvents"}
        response = await self._asked(self._buses, route, arn, "/events", headers, json=asked)
        answer = _json(response)
        entries = answer.get("Entries")
        if response.status_code != 200 or not isinstance(entries, list):
            raise Undelivered(f"{_plain(answer.get('__type'))}: {answer.get('message') or answer.get('Message')}")
        told = [_outcome(at, each) for at, each in enumerate(entries)]
        return [each for each in told if "Code" not in each], [each for each in told if "Code" in each]

    async def _asked(
        self,
        client: ServiceClient,
        route: Route,
        arn: Arn,
        path: str,
        headers: Mapping[str, str],
        *,
        json: Any = None,
        content: bytes | None = None,
    ) -> Any:
        """Whatever it answers. What comes twice does no harm: it is promised to come once at least."""
        said = {**headers, REGION: arn.region, SOURCE_ARN: f"arn:aws:s3:::{route.name}"}
        try:
            return await client.request(
                "POST", path, namespace=route.namespace, headers=said, json=json, content=content, idempotent=True
            )
        except ApiError as away:
            raise Undelivered(away.message) from away


def _fitting(events: Sequence[Waiting]) -> list[Waiting]:
    """As many of the first as one batch has room for; one at least."""
    fitting, size = list[Waiting](), 0
    for each in events[:MOST_AT_ONCE]:
        size += len(each.body.encode())
        if fitting and size > MOST_BYTES:
            break
        fitting.append(each)
    return fitting


def _sent(fitting: Sequence[Waiting], successful: Sequence[Json], failed: Sequence[Json]) -> Sent:
    """What a batch's outcomes say. Raises Undelivered where nothing came of it."""
    taken = [fitting[int(each["Id"])].number for each in successful]
    for_ever = [each for each in failed if str(each.get("SenderFault", "")).lower() == "true"]
    told = next(iter(for_ever or failed), {})
    why = f"{told.get('Code')}: {told.get('Message')}" if told else ""
    if not taken and not for_ever:
        raise Undelivered(why or "it says of no event that it took it")
    return Sent(taken, [fitting[int(each["Id"])].number for each in for_ever], why if for_ever else "")


def _outcome(at: int, entry: Json) -> Json:
    """Of an entry of PutEvents, as batches of messages tell it."""
    if (code := entry.get("ErrorCode")) is None:
        return {"Id": str(at)}
    lasting = at == 0 and code not in _LATER
    return {"Id": str(at), "Code": code, "Message": entry.get("ErrorMessage"), "SenderFault": lasting}


def _members(answer: Element, name: str) -> list[Json]:
    """Those of a list of the answer, whose members are texts."""
    found = answer.findall(f"PublishBatchResult/{name}/member")
    return [{each.tag: each.text or "" for each in member} for member in found]


def _json(response: Any) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"__type": f"HTTP{response.status_code}"}


def _plain(type_: Any) -> str:
    return str(type_ or "").rpartition("#")[2]


def _told(document: bytes) -> str:
    """Code and message of an error in XML."""
    try:
        found = {each.tag: each.text or "" for each in parse(document).iter()}
    except ValueError:
        return "it does not answer as topics do"
    return f"{found.get('Code', '')}: {found.get('Message', '')}"
