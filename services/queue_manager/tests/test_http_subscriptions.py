"""Topics that deliver to addresses: asked first, signed, repeated, over a restart, to no address of this cloud."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from crds.errors import Unavailable
from crds.kinds.namespace import NAMESPACE
from services.queue_manager import broker, http_subscriptions
from services.queue_manager.backup import HOOKS
from services.queue_manager.live_queue import QueueRules
from services.queue_manager.sns_signing import new_token, open_signing_key, uid_of
from services.queue_manager.tests.in_memory import OUTSIDE, Queues, queues_of
from services.queue_manager.topic_kinds import SUBSCRIPTION, Subscription, SubscriptionSpec
from services.queue_manager.topics import Topics
from services.sdk.testing import User, virtual_time

TOPIC = "arn:aws:sns:us-east-1:000000000000:news"
URL = "https://hooks.example.com/sns"


@pytest.fixture(autouse=True)
def outside() -> None:
    OUTSIDE.__init__()  # type: ignore[misc]


@asynccontextmanager
async def topics(folder: Path, before: Queues | None = None) -> AsyncIterator[Queues]:
    async with queues_of(folder, before) as queues:
        if before is None:
            await queues.service.resources.create(NAMESPACE, NAMESPACE.new("default"))
            await ask(queues, "CreateTopic", Name="news")
        yield queues


async def ask(queues: Queues, operation: str, **fields: str) -> Any:
    status, document = await queues.form(operation, "/sns", Version="2010-03-31", **fields)
    assert status == 200, [each.text for each in document.iter()]
    return document


async def subscribe(queues: Queues, url: str = URL, **attributes: str) -> None:
    protocol = url.partition(":")[0]
    await ask(queues, "Subscribe", TopicArn=TOPIC, Protocol=protocol, Endpoint=url, **attributes)
    await queues.service.advance(3)


async def confirm(queues: Queues, link: str = "") -> httpx.Response:
    """By the link that came last, as anybody."""
    parts = urlsplit(link or orjson.loads(OUTSIDE.requests[-1].content)["SubscribeURL"])
    async with queues.service.client(User("system:anonymous", ("system:unauthenticated",))) as http:
        path = f"{parts.path.removeprefix('/services/queue-manager')}?{parts.query}"
        answer = await http.get(path)
    await queues.service.advance(3)
    return answer


async def publish(queues: Queues, message: str = "hello", **more: str) -> None:
    await ask(queues, "Publish", TopicArn=TOPIC, Message=message, **more)
    await queues.service.advance(3)


def messages() -> list[dict[str, Any]]:
    return [orjson.loads(each.content) for each in OUTSIDE.requests]


async def attributes(queues: Queues, of: str) -> dict[str, str]:
    document = await ask(queues, "GetSubscriptionAttributes", SubscriptionArn=of)
    entries = document.iter("entry")
    return {str(each.findtext("key")): str(each.findtext("value")) for each in entries}


@virtual_time
async def test_nothing_is_sent_before_it_confirmed_and_all_is_signed(tmp_path: Path) -> None:
    async with topics(tmp_path) as queues:
        await subscribe(queues)
        await publish(queues, "too early")
        (asked,) = messages()
        assert (asked["Type"], asked["TopicArn"]) == ("SubscriptionConfirmation", TOPIC)
        assert parse_qs(urlsplit(asked["SubscribeURL"]).query)["Token"] == [asked["Token"]]
        assert (await confirm(queues)).status_code == 200
        await publish(queues, "héllo", Subject="greeting")
        told, head = messages()[-1], OUTSIDE.requests[-1].headers
        assert (told["Type"], told["Message"], told["Subject"]) == ("Notification", "héllo", "greeting")
        assert head["x-amz-sns-message-type"] == "Notification"
        arn = head["x-amz-sns-subscription-arn"]
        assert (await attributes(queues, arn))["PendingConfirmation"] == "false"
        async with queues.service.client(User("system:anonymous")) as http:
            path = urlsplit(told["SigningCertURL"]).path.removeprefix("/services/queue-manager")
            pem = (await http.get(path)).content
            assert hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode())).hexdigest() in path
            assert (await http.get("/sns/certificates/" + "0" * 64 + ".pem")).status_code == 404, "another one's"
            assert (await http.get(path.replace("SimpleNotificationService-", ""))).content == pem, "its older name"
        key = x509.load_pem_x509_certificate(pem).public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        for each, names in (
            (asked, ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")),
            (told, ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")),
        ):
            content = "".join(f"{name}\n{each[name]}\n" for name in names).encode()
            mark = base64.b64decode(each["Signature"])
            key.verify(mark, content, padding.PKCS1v15(), hashes.SHA1())


@virtual_time
async def test_the_token_confirms_by_the_api_and_forged_ones_nothing(tmp_path: Path) -> None:
    async with topics(tmp_path) as queues:
        await subscribe(queues)
        (asked,) = messages()
        token = asked["Token"]
        later = f"{token[:32]}{int(token[32:40], 16) + 1:08x}{token[40:]}"
        for wrong in (later, token[:-1] + ("0" if token[-1] != "0" else "1"), "", "x" * len(token), "é" * 104):
            status, _ = await queues.form(
                "ConfirmSubscription", "/sns", Version="2010-03-31", TopicArn=TOPIC, Token=wrong
            )
            assert status == 400
            assert (await confirm(queues, f"https://a/sns/confirm?TopicArn={TOPIC}&Token={wrong}")).status_code == 400
        assert (await confirm(queues, f"https://a/sns/confirm?TopicArn={TOPIC}x&Token={token}")).status_code == 400
        await ask(queues, "ConfirmSubscription", TopicArn=TOPIC, Token=token)
        await publish(queues)
        assert messages()[-1]["Type"] == "Notification"


def test_an_old_token_confirms_nothing(tmp_path: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    key, uid = open_signing_key(tmp_path, now), "01234567-89ab-cdef-0123-456789abcdef"
    token = new_token(key, uid, now)
    assert uid_of(key, token, now + timedelta(days=2)) == uid.replace("-", "")
    assert uid_of(key, token, now + timedelta(days=2, seconds=1)) is None
    assert open_signing_key(tmp_path, now).tokens == key.tokens, "it is made once"


@virtual_time
async def test_what_comes_back_from_a_backup_signs_by_the_same_key(tmp_path: Path) -> None:
    data, scratch, back = (tmp_path / name for name in ("data", "scratch", "back"))
    for each in (data, scratch, back):
        each.mkdir()
    async with topics(data) as queues:
        await subscribe(queues)
        there = HOOKS.snapshot(data, scratch)
        for file in there.files:
            shutil.copy(file.root / file.name, back / file.name)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert open_signing_key(back, now).certificate == open_signing_key(data, now).certificate
    assert HOOKS.restored(back) == there.counts


@virtual_time
async def test_an_address_that_takes_nothing_is_asked_one_question_at_a_time(tmp_path: Path) -> None:
    async with topics(tmp_path) as queues:
        OUTSIDE.answer = lambda request: httpx.Response(503)
        for _ in range(5):
            await subscribe(queues)
        assert len(OUTSIDE.requests) == 1
        await queues.service.advance(100)
        assert len({each["Token"] for each in messages()}) == 1
        await subscribe(queues)
        assert len({each["MessageId"] for each in messages()}) == 2, "when that one was given up"


@virtual_time
async def test_raw_messages_and_texts_of_their_own(tmp_path: Path) -> None:
    raw = {"Attributes.entry.1.key": "RawMessageDelivery", "Attributes.entry.1.value": "true"}
    async with topics(tmp_path) as queues:
        await subscribe(queues, **raw)
        await confirm(queues)
        await publish(queues, '{"default": "d", "https": "for addresses"}', MessageStructure="json")
        request = OUTSIDE.requests[-1]
        assert (request.content, request.headers["x-amz-sns-rawdelivery"]) == (b"for addresses", "true")


@virtual_time
async def test_it_is_repeated_three_times_and_over_a_restart(tmp_path: Path) -> None:
    async with topics(tmp_path) as queues:
        await subscribe(queues)
        await confirm(queues)
        OUTSIDE.answer = lambda request: httpx.Response(503)
        await publish(queues)
        assert len(OUTSIDE.requests) == 2
    async with topics(tmp_path, queues) as again:
        await again.service.advance(200)
        assert len(OUTSIDE.requests) == 1 + 4
        OUTSIDE.answer = lambda request: httpx.Response(200)
        await publish(again, "next")
        assert messages()[-1]["Message"] == "next"


@virtual_time
async def test_what_no_address_took_goes_to_the_dead_letters(tmp_path: Path) -> None:
    async with topics(tmp_path) as queues:
        url = await queues.queue("dead")
        dead = '{"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead"}'
        await subscribe(queues, **{"Attributes.entry.1.key": "RedrivePolicy", "Attributes.entry.1.value": dead})
        await confirm(queues)
        OUTSIDE.answer = lambda request: httpx.Response(404)
        await publish(queues)
        assert len(OUTSIDE.requests) == 2, "what is refused for good is not repeated"
        assert [orjson.loads(each)["Message"] for each in await queues.bodies(url)] == ["hello"]


@virtual_time
async def test_what_waits_for_an_address_is_bounded_also_over_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.queue_manager.topics.MOST_WAITING_BYTES", 2500)
    dead = '{"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead"}'
    async with topics(tmp_path) as queues:
        url = await queues.queue("dead")
        await subscribe(queues, **{"Attributes.entry.1.key": "RedrivePolicy", "Attributes.entry.1.value": dead})
        await confirm(queues)
        OUTSIDE.answer = lambda request: httpx.Response(503)
        for each in "abc":
            await publish(queues, each * 900)
        assert [orjson.loads(each)["Message"][0] for each in await queues.bodies(url)] == ["c"]
    async with topics(tmp_path, queues) as again:
        await publish(again, "d" * 900)
        assert [orjson.loads(each)["Message"][0] for each in await again.bodies(url)] == ["d"]
        OUTSIDE.answer = lambda request: httpx.Response(200)
        await again.service.advance(70)
        await publish(again, "e" * 900)
        assert messages()[-1]["Message"] == "e" * 900


@virtual_time
async def test_it_goes_to_no_address_of_this_cloud(tmp_path: Path) -> None:
    async with topics(tmp_path) as queues:
        OUTSIDE.addresses = ["127.0.0.1", "10.0.0.1", "169.254.169.254"]
        await subscribe(queues)
        await subscribe(queues, "http://internal.example.com/x")
        await queues.service.advance(120)
        assert OUTSIDE.requests == []


@virtual_time
async def test_a_subscription_of_kubectl_is_asked_as_well_and_goes_with_all_of_it(tmp_path: Path) -> None:
    async with topics(tmp_path) as queues:
        spec = SubscriptionSpec.model_validate({"topicArn": TOPIC, "protocol": "https", "endpoint": URL})
        made = SUBSCRIPTION.new("mine", namespace="default", spec=spec)
        await queues.service.resources.create(SUBSCRIPTION, made)
        await queues.service.advance(5)
        assert [each["Type"] for each in messages()] == ["SubscriptionConfirmation"]
        await confirm(queues)
        OUTSIDE.answer = lambda request: httpx.Response(500)
        await publish(queues)
        await queues.service.resources.delete(SUBSCRIPTION, "mine", "default")
        await queues.service.advance(120)
        number = len(OUTSIDE.requests)
        await queues.service.advance(300)
        assert len(OUTSIDE.requests) == number


@pytest.mark.parametrize("fault", ["retention", "in flight"])
@virtual_time
async def test_what_goes_wrong_with_one_address_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    slow, taken = "https://slow.example.com/", list[str]()

    async def answered(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(3600 if request.headers["host"] == "slow.example.com" else 8)
        taken.append(orjson.loads(request.content)["Message"])
        return httpx.Response(200)

    if fault == "retention":
        monkeypatch.setattr(http_subscriptions, "ADDRESS_RULES", QueueRules(0, 10_000))
    async with topics(tmp_path) as queues:
        await ask(queues, "CreateTopic", Name="other")
        other = TOPIC.replace("news", "other")
        await subscribe(queues)
        await confirm(queues)
        await ask(queues, "Subscribe", TopicArn=other, Protocol="https", Endpoint=slow)
        await queues.service.advance(3)
        await confirm(queues)
        if fault == "in flight":
            monkeypatch.setattr(broker, "MOST_IN_FLIGHT", 1)
        OUTSIDE.answer = answered  # type: ignore[assignment]  # the transport awaits it
        await ask(queues, "Publish", TopicArn=other, Message="never taken")
        await queues.service.advance(10)
        await ask(queues, "Publish", TopicArn=TOPIC, Message="to the other")
        # Whoever looks for this one deletes the first, which is kept no longer, while it is still being posted; or is
        # told that there is too much in flight.
        await queues.service.advance(2)
        await ask(queues, "Publish", TopicArn=other, Message="the next")
        await queues.service.advance(7)
        assert taken == ["to the other"]


@virtual_time
async def test_a_subscription_is_asked_when_the_conductor_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted, faults = Topics.note_origin, [Unavailable("it starts anew")] * 2

    async def note_origin(topics: Topics, subscription: Subscription, origin: str) -> Subscription:
        if faults:
            raise faults.pop()
        return await noted(topics, subscription, origin)

    monkeypatch.setattr(Topics, "note_origin", note_origin)
    async with topics(tmp_path) as queues:
        spec = SubscriptionSpec.model_validate({"topicArn": TOPIC, "protocol": "https", "endpoint": URL})
        await queues.service.resources.create(SUBSCRIPTION, SUBSCRIPTION.new("mine", namespace="default", spec=spec))
        await queues.service.advance(30)
        assert [each["Type"] for each in messages()] == ["SubscriptionConfirmation"]


@pytest.mark.parametrize(
    ("protocol", "endpoint", "topic"),
    [
        ("https", "http://a.example.com", "news"),
        ("http", "https://a.example.com", "news"),
        ("https", "https://user:word@a.example.com", "news"),
        ("https", "https://", "news"),
        ("https", "https://a.example.com", "news.fifo"),
        ("sqs", "https://a.example.com", "news"),
    ],
)
def test_what_is_no_address_of_that_protocol_is_refused(protocol: str, endpoint: str, topic: str) -> None:
    arn = TOPIC.replace("news", topic)
    with pytest.raises(ValueError, match=r"endpoint|no ARN of a queue"):
        SubscriptionSpec.model_validate({"topicArn": arn, "protocol": protocol, "endpoint": endpoint})


async def open_link(queues: Queues, link: str) -> int:
    """As anybody, who may ask for it twice."""
    parts = urlsplit(link)
    async with queues.service.client(User("system:anonymous", ("system:unauthenticated",))) as http:
        path = f"{parts.path.removeprefix('/services/queue-manager')}?{parts.query}"
        return (await http.get(path)).status_code


@virtual_time
async def test_its_link_ends_a_subscription_and_no_other_one(tmp_path: Path) -> None:
    async with topics(tmp_path) as queues:
        for url in (URL, f"{URL}/other"):
            await subscribe(queues, url)
            await confirm(queues)
        await publish(queues, "before")
        mine, other = sorted((each for each in messages() if each["Type"] == "Notification"), key=str)[:2]
        links = [parse_qs(urlsplit(each["UnsubscribeURL"]).query) for each in (mine, other)]
        mixed = mine["UnsubscribeURL"].replace(links[0]["Token"][0], links[1]["Token"][0])
        assert await open_link(queues, mixed) == 400
        assert await open_link(queues, mine["UnsubscribeURL"][:-1] + "x") == 400
        assert await open_link(queues, mine["UnsubscribeURL"]) == 200
        assert await open_link(queues, mine["UnsubscribeURL"]) == 400, "it is no more"
        OUTSIDE.requests.clear()
        await publish(queues, "after")
        (told,) = messages()
        assert parse_qs(urlsplit(told["UnsubscribeURL"]).query)["SubscriptionArn"] == links[1]["SubscriptionArn"]


@virtual_time
async def test_whoever_confirms_may_want_a_login_of_who_unsubscribes(tmp_path: Path) -> None:
    async with topics(tmp_path) as queues:
        await subscribe(queues)
        token = messages()[-1]["Token"]
        confirmed = {"TopicArn": TOPIC, "Token": token, "AuthenticateOnUnsubscribe": "true"}
        arn = (await ask(queues, "ConfirmSubscription", **confirmed)).findtext(".//SubscriptionArn")
        assert (await attributes(queues, arn))["ConfirmationWasAuthenticated"] == "true"
        await publish(queues)
        link = messages()[-1]["UnsubscribeURL"]
        assert "Token" not in link
        assert urlsplit(link).path == "/"


def verified(told: dict[str, Any], pem: bytes) -> None:
    """As a receiver does. Raises InvalidSignature."""
    key = x509.load_pem_x509_certificate(pem).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    names = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
    content = "".join(f"{name}\n{told[name]}\n" for name in names if name in told).encode()
    digest = hashes.SHA256() if told["SignatureVersion"] == "2" else hashes.SHA1()
    key.verify(base64.b64decode(told["Signature"]), content, padding.PKCS1v15(), digest)


@virtual_time
async def test_what_queues_get_is_signed_as_well(tmp_path: Path) -> None:
    async with topics(tmp_path) as queues:
        url = await queues.queue("orders")
        queue = "arn:aws:sqs:us-east-1:000000000000:orders"
        subscribed = await ask(queues, "Subscribe", TopicArn=TOPIC, Protocol="sqs", Endpoint=queue)
        for version in ("1", "2"):
            changed = {"AttributeName": "SignatureVersion", "AttributeValue": version}
            await ask(queues, "SetTopicAttributes", TopicArn=TOPIC, **changed)
            await publish(queues, "hello", Subject="greeting")
            (got,) = await queues.bodies(url, VisibilityTimeout=0)
            await queues.call("PurgeQueue", QueueUrl=url)
            told = orjson.loads(got)
            assert told["SignatureVersion"] == version
            async with queues.service.client(User("system:anonymous")) as http:
                path = urlsplit(told["SigningCertURL"]).path.removeprefix("/services/queue-manager")
                verified(told, (await http.get(path)).content)
        link = urlsplit(told["UnsubscribeURL"])
        arn = subscribed.findtext(".//SubscriptionArn")
        assert (link.path, parse_qs(link.query)) == ("/", {"Action": ["Unsubscribe"], "SubscriptionArn": [arn]})


@virtual_time
async def test_a_delivery_policy_says_when_it_is_tried_again_and_how_often(tmp_path: Path) -> None:
    async with topics(tmp_path) as queues:
        retry = {"numRetries": 3, "numNoDelayRetries": 1, "minDelayTarget": 5, "maxDelayTarget": 5}
        policy = {
            "healthyRetryPolicy": retry,
            "throttlePolicy": {"maxReceivesPerSecond": 1},
            "requestPolicy": {"headerContentType": "application/json"},
        }
        said = {"Attributes.entry.1.key": "DeliveryPolicy", "Attributes.entry.1.value": orjson.dumps(policy).decode()}
        await subscribe(queues, **said)
        await confirm(queues)
        arn = OUTSIDE.requests[-1].headers["x-amz-sns-subscription-arn"]
        told = await attributes(queues, arn)
        assert orjson.loads(told["DeliveryPolicy"]) == policy
        assert orjson.loads(told["EffectiveDeliveryPolicy"])["healthyRetryPolicy"]["numRetries"] == 3
        loop, times = asyncio.get_running_loop(), list[float]()

        def refuse(request: httpx.Request) -> httpx.Response:
            times.append(loop.time())
            return httpx.Response(503)

        OUTSIDE.answer = refuse
        await publish(queues)
        await queues.service.advance(30)
        waits = [round(after - before) for before, after in pairwise(times)]
        assert waits == [1, 5, 5], "at once, but one in a second; then the waits, and then it is given up"
        assert OUTSIDE.requests[-1].headers["content-type"] == "application/json"
