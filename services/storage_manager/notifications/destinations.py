"""The way to queues and topics: in this service's own name, which their policies know as `s3.amazonaws.com`.

Nothing of the cloud's roles gives it the right: a destination's own policy does, or nobody. It may ask for the bucket
(`aws:SourceArn`) and its account (`aws:SourceAccount`).
Source: Amazon SQS API reference, SendMessageBatch; Amazon SNS API reference, PublishBatch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

from crds.errors import ApiError
from services.sdk.aws.arns import Arn, parse_arn
from services.sdk.aws.rest_xml import parse
from services.sdk.aws.service_callers import REGION, SOURCE_ARN
from services.sdk.clients.service_client import ServiceClient
from services.storage_manager.notifications.outbox import Route, Waiting

_JSON, _FORM = "application/x-amz-json-1.0", "application/x-www-form-urlencoded"
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
    """`client` is that of the service that has queues and topics."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    async def send(self, route: Route, events: Sequence[Waiting]) -> Sent:
        """One call, with as many of the first as fit. Raises Undelivered where nothing came of it."""
        arn = parse_arn(route.target)
        if arn is None:
            raise Undelivered(f"{route.target} is no ARN")
        fitting = _fitting(events)
        asked = self._published if arn.service == "sns" else self._sent
        return _sent(fitting, *await asked(route, arn, fitting))

    async def _sent(self, route: Route, arn: Arn, fitting: Sequence[Waiting]) -> Outcomes:
        asked = {
            "QueueUrl": f"https://sqs.{arn.region}.amazonaws.com/{arn.account}/{arn.resource}",
            "Entries": [{"Id": str(at), "MessageBody": each.body} for at, each in enumerate(fitting)],
        }
        headers = {"content-type": _JSON, "x-amz-target": "AmazonSQS.SendMessageBatch"}
        response = await self._asked(route, arn, "/", headers, json=asked)
        answer = _json(response)
        if response.status_code != 200:
            raise Undelivered(f"{_plain(answer.get('__type'))}: {answer.get('message') or answer.get('Message')}")
        return list(answer.get("Successful", ())), list(answer.get("Failed", ()))

    async def _published(self, route: Route, arn: Arn, fitting: Sequence[Waiting]) -> Outcomes:
        form = {"Action": "PublishBatch", "Version": "2010-03-31", "TopicArn": str(arn)}
        for at, each in enumerate(fitting):
            entry = f"PublishBatchRequestEntries.member.{at + 1}"
            form |= {f"{entry}.Id": str(at), f"{entry}.Message": each.body, f"{entry}.Subject": _SUBJECT}
        response = await self._asked(route, arn, "/sns", {"content-type": _FORM}, content=urlencode(form).encode())
        if response.status_code != 200:
            raise Undelivered(_told(response.content))
        try:
            answer = parse(response.content)
        except ValueError as wrong:
            raise Undelivered("it does not answer as topics do") from wrong
        return _members(answer, "Successful"), _members(answer, "Failed")

    async def _asked(
        self,
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
            return await self._client.request(
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
