"""How what waits in the outbox is delivered, given up and told of: turns, bounds, refusals, to fakes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qs

import anyio
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crds.meta import Condition, ObjectMeta
from services.sdk.aws.service_callers import REGION
from services.sdk.clients.service_client import ServiceClient
from services.storage_manager.blobs import Blobs
from services.storage_manager.configuration.notification import check_notification
from services.storage_manager.context import S3Context, S3Request
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import BucketRef
from services.storage_manager.kinds import Bucket
from services.storage_manager.metadata import MetadataIndex, Object
from services.storage_manager.notifications import configuring, delivery, giving_up
from services.storage_manager.notifications.bus_events import bus_entry, default_bus
from services.storage_manager.notifications.delivery import Delivery
from services.storage_manager.notifications.destinations import Destinations, Sent, Undelivered
from services.storage_manager.notifications.event_messages import Happening, Origin, source_bucket
from services.storage_manager.notifications.giving_up import GivingUp, excesses
from services.storage_manager.notifications.object_events import lifecycle_origin
from services.storage_manager.notifications.outbox import NOTIFICATION, Outbox, Route, Waiting, kept_configuration

ARN = "arn:aws:sqs:us-east-1:000000000000:q"
NOW = 2e9
BY = Origin("AWS:ann", "192.0.2.1", "r", "111122223333")


class Box:
    """An outbox of a few routes. `lost`: how many events were given up."""

    def __init__(self, folder: Path) -> None:
        self.metadata = MetadataIndex(folder / "book.db")
        self.outbox, self.folder, self.lost = Outbox(self.metadata), folder, 0

    def fill(self, route: Route, count: int, recorded: float = NOW) -> None:
        with self.metadata.transaction() as db:
            sql = "INSERT INTO events (bucket, name, namespace, target, body, recorded) VALUES (?,?,?,?,?,?)"
            db.executemany(sql, [(*route, "{}", recorded)] * count)

    def name(self, bucket: str, *arns: str) -> None:
        found = [{"QueueArn": arn, "Events": ["s3:ObjectCreated:Put"], "Id": arn} for arn in arns]
        self.metadata.put_configuration(
            bucket, NOTIFICATION, kept_configuration({"QueueConfigurations": found}, bucket, "default")
        )

    async def commit(self, change: Callable[[], Any]) -> Any:
        return change()

    def delivery(self, send: Any) -> Delivery:
        def lose(count: int) -> None:
            self.lost += count

        sends = SimpleNamespace(send=send)
        return Delivery(self.outbox, sends, self.commit, self.folder / "lock", lambda: NOW, lose)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def route(bucket: str = "b", target: str = ARN, namespace: str = "default") -> Route:
    return Route(bucket, bucket, namespace, target)


async def run_until(box: Box, deliver: Delivery, finished: anyio.Event) -> None:
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(deliver.run)
            await finished.wait()
            tasks.cancel_scope.cancel()


def test_whoever_always_has_more_does_not_keep_others_waiting(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two routes that never come to an end have all places; a third one comes later and has its turn."""
    monkeypatch.setattr(delivery, "MOST_ROUTES_AT_ONCE", 2)
    monkeypatch.setattr(delivery, "PAGE", 3)
    greedy, modest, finished = [route("a1"), route("a2")], route("z"), anyio.Event()
    sent = dict.fromkeys([*greedy, modest], 0)

    async def send(to: Route, events: Sequence[Waiting]) -> Sent:
        sent[to] += 1
        if to == modest:
            finished.set()
        else:
            box.fill(to, len(events))
        if sent[greedy[0]] == 5:
            box.fill(modest, 1)
            deliver.wake()
        return Sent([each.number for each in events], [])

    for each in greedy:
        box.fill(each, 3)
    deliver = box.delivery(send)
    anyio.run(run_until, box, deliver, finished)
    assert sent[modest] == 1 and min(sent.values()) > 0


def test_what_a_destination_refuses_for_ever_is_told_for_an_hour(box: Box) -> None:
    finished, bucket = anyio.Event(), Bucket(metadata=ObjectMeta(name="b", uid="b"))

    async def send(to: Route, events: Sequence[Waiting]) -> Sent:
        finished.set()
        return Sent([], [each.number for each in events], "InvalidParameterValue: it is too long")

    box.fill(route(), 3)
    deliver = box.delivery(send)
    anyio.run(run_until, box, deliver, finished)
    told = condition(deliver, bucket)
    assert (told.status, told.reason) == ("False", "DestinationRefuses")
    assert told.message == f"{ARN}: 3 events are lost: it refuses them: InvalidParameterValue: it is too long"
    assert box.lost == 3
    deliver._clock = lambda: NOW + 3601
    assert condition(deliver, bucket).status == "True"


def test_one_that_delivers_nothing_tells_of_what_waits(box: Box) -> None:
    """Another process of the data folder may deliver: how long it takes is in the table."""
    bucket, deliver = Bucket(metadata=ObjectMeta(name="b", uid="b")), box.delivery(None)
    box.fill(route("other"), 1, NOW - 3600)
    box.fill(route(), 1, NOW - 30)
    assert condition(deliver, bucket).status == "True"
    box.fill(route(target=f"{ARN}2"), 1, NOW - 90)
    assert condition(deliver, bucket).message == f"{ARN}2: events wait for longer than a minute"


def condition(deliver: Delivery, bucket: Bucket) -> Condition:
    async def update() -> None:
        await deliver.update_condition(bucket, configured=True, now=datetime.now(UTC))

    anyio.run(update)
    return bucket.status.conditions[0]


def test_what_is_too_old_is_given_up_sooner_where_nobody_is_told_any_more(box: Box) -> None:
    box.name("b", ARN)
    box.fill(route(), 2, NOW - 5 * 86_400)
    box.fill(route(), 2, NOW - 3 * 86_400)
    for unnamed in (route(target=f"{ARN}2"), route("gone")):
        box.fill(unnamed, 1, NOW - 3601)
        box.fill(unnamed, 1, NOW - 3599)
    assert anyio.run(GivingUp(box.outbox, box.commit, lambda: NOW).run) == {
        route(): 2,
        route(target=f"{ARN}2"): 1,
        route("gone"): 1,
    }
    assert box.outbox.waiting() == {route(): 2, route(target=f"{ARN}2"): 1, route("gone"): 1}


def test_a_bucket_gives_up_the_oldest_of_what_is_too_much(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(giving_up, "MOST_OF_BUCKET", 10)
    monkeypatch.setattr(giving_up, "AT_ONCE", 3)
    box.name("b", ARN, f"{ARN}2")
    box.fill(route(), 20)
    box.fill(route(target=f"{ARN}2"), 2)
    last = box.outbox.page(route(), 100)[-8:]
    bucket, deliver = Bucket(metadata=ObjectMeta(name="b", uid="b")), box.delivery(None)
    anyio.run(deliver._trim)
    assert box.outbox.page(route(), 100) == last and box.outbox.waiting()[route(target=f"{ARN}2")] == 2
    told = condition(deliver, bucket).message
    assert box.lost == 12 and told.startswith(f"{ARN}: 12 events are lost: it did not take them, and too many waited")


def test_what_waits_counts_into_the_quota(box: Box) -> None:
    context = S3Context(cast("Any", None), box.metadata, Blobs(box.folder / "blobs"), cast("Any", None))
    ref = BucketRef("b", "b", "arn:aws:s3:::b", 0.0, quota=(10_000, None))
    anyio.run(context.require_room, ref, 5000)
    box.fill(route(), 5)
    with pytest.raises(S3Error, match="b holds 5120 bytes, 5120 of them in events that wait for their destinations;"):
        anyio.run(context.require_room, ref, 5000)
    anyio.run(context.require_room, ref, 4880)


@pytest.mark.parametrize("quota", [(giving_up.MOST_BYTES_OF_BUCKET + 5000, None), (None, 1)])
def test_what_waits_is_not_counted_where_it_decides_nothing(
    box: Box, quota: tuple[int | None, int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write to a bucket with a quota would take the longer, the more waits."""
    context = S3Context(cast("Any", None), box.metadata, Blobs(box.folder / "blobs"), cast("Any", None))
    ref, counted = BucketRef("b", "b", "arn:aws:s3:::b", 0.0, quota=quota), list[str]()

    def counts(outbox: Outbox, bucket: str) -> int:
        counted.append(bucket)
        return 0

    monkeypatch.setattr(Outbox, "size", counts)
    anyio.run(context.require_room, ref, 5000)
    assert not counted
    if quota[0] is not None:
        anyio.run(context.require_room, ref, 5001)
        assert counted == ["b"]


_ROUTES = st.builds(route, st.sampled_from("abc"), st.sampled_from("xyz"), st.sampled_from(["n", "m"]))


@given(st.dictionaries(_ROUTES, st.integers(1, 500_000)))
def test_bounds_hold_and_who_has_little_loses_nothing(waiting: dict[Route, int]) -> None:
    excess = excesses(waiting)
    kept = {each: count - excess.get(each, 0) for each, count in waiting.items()}
    assert all(0 < excess[each] <= waiting[each] for each in excess)
    for group in {each.bucket for each in waiting}:
        assert sum(kept[each] for each in waiting if each.bucket == group) <= giving_up.MOST_OF_BUCKET
    for group in {each.namespace for each in waiting}:
        assert sum(kept[each] for each in waiting if each.namespace == group) <= giving_up.MOST_OF_NAMESPACE
    fair = min(giving_up.MOST_OF_BUCKET, giving_up.MOST_OF_NAMESPACE) // max(len(waiting), 1)
    assert all(kept[each] == count for each, count in waiting.items() if count <= fair)


def test_routes_are_found_without_reading_what_waits(box: Box) -> None:
    routes = sorted({route(bucket, target) for bucket in "abc" for target in ("x", "y")})
    for each in routes:
        box.fill(each, 3)
    assert box.outbox.routes() == routes and box.outbox.routes("b") == routes[2:4]
    assert box.outbox.routes("d") == []
    db = box.metadata.connection()
    steps = count_steps(db, box.outbox.routes)
    box.fill(routes[3], 20_000)
    assert count_steps(db, box.outbox.routes) <= steps + 1


def count_steps(db: sqlite3.Connection, ask: Callable[[], Any]) -> int:
    """Hundreds of steps of SQLite's machine."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    db.set_progress_handler(step, 100)
    ask()
    db.set_progress_handler(None, 0)
    return steps


class Topic:
    """Answers a batch as SNS does: it refuses the second entry."""

    def __init__(self) -> None:
        self.forms: list[dict[str, list[str]]] = []

    async def request(self, method: str, path: str, *, content: bytes, **more: Any) -> Any:
        self.forms.append(parse_qs(content.decode()))
        text = """<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult>
        <Successful><member><Id>0</Id><MessageId>m</MessageId></member></Successful>
        <Failed><member><Id>1</Id><Code>InvalidParameter</Code><Message>no</Message>
        <SenderFault>true</SenderFault></member></Failed></PublishBatchResult></PublishBatchResponse>"""
        return SimpleNamespace(status_code=200, content=text.encode())


def test_a_topic_gets_ten_at_once_and_may_refuse_some_for_ever() -> None:
    topic = Topic()
    events = [Waiting(number, f"body {number}") for number in range(30, 45)]
    to = route(target=ARN.replace("sqs", "sns"))
    client = cast("ServiceClient", topic)
    sent = anyio.run(Destinations(client, client).send, to, events)
    assert sent == Sent([30], [31], "InvalidParameter: no")
    (form,) = topic.forms
    bodies = [form[f"PublishBatchRequestEntries.member.{at}.Message"] for at in range(1, 11)]
    assert bodies == [[f"body {number}"] for number in range(30, 40)] and len(form) == 3 + 3 * 10


class Bus:
    """Answers PutEvents as EventBridge does; `faults`: codes of those it does not take, by key."""

    def __init__(self, **faults: str) -> None:
        self.faults, self.asked = faults, list[tuple[str, Any, Any]]()

    async def request(self, method: str, path: str, *, headers: Any, json: Any, **more: Any) -> Any:
        self.asked.append((path, headers, json["Entries"]))
        keys = [orjson.loads(each["Detail"])["object"]["key"] for each in json["Entries"]]
        told = [{"ErrorCode": self.faults[key]} if key in self.faults else {"EventId": key} for key in keys]
        return SimpleNamespace(status_code=200, json=lambda: {"Entries": told})

    def send(self, *keys: str) -> Sent:
        source = source_bucket("b", "default", "eu-central-1")
        made = [Happening("ObjectCreated:Put", Object(key, 1, "e", 0.0, {}, ()), BY, source, 1, NOW) for key in keys]
        events = [Waiting(number, bus_entry(each)) for number, each in enumerate(made)]
        client = cast("ServiceClient", self)
        return anyio.run(Destinations(client, client).send, route(target=default_bus(source)), events)


def test_a_bus_is_asked_again_for_what_it_may_take_later() -> None:
    """What it refuses for good is believed of the first of a request alone: the others share its bounds."""
    bus = Bus(late="ThrottlingException", odd="InvalidArgument")
    assert bus.send("a", "late", "odd", "b") == Sent([0, 3], [])
    assert bus.send("odd", "late", "b") == Sent([2], [0], "InvalidArgument: None")
    with pytest.raises(Undelivered, match="ThrottlingException"):
        bus.send("late", "odd")
    assert default_bus(source_bucket("b", "default", "EU")).startswith("arn:aws:events:eu-west-1:")
    path, headers, entries = bus.asked[0]
    assert (path, headers["x-amz-target"], headers[REGION]) == ("/events", "AWSEvents.PutEvents", "eu-central-1")
    assert {each["EventBusName"] for each in entries} == {
        "arn:aws:events:eu-central-1:000000000000:event-bus/default"
    }


@pytest.mark.parametrize(
    ("name", "marker", "type_", "told"),
    [
        ("ObjectCreated:Post", False, "Object Created", {"size": 5, "etag": "e", "sequencer": f"{7:016X}"}),
        ("ObjectRemoved:Delete", False, "Object Deleted", {"sequencer": f"{7:016X}"}),
        ("ObjectRemoved:Delete", True, "Object Deleted", {"sequencer": f"{7:016X}"}),
        (
            "LifecycleExpiration:DeleteMarkerCreated",
            True,
            "Object Deleted",
            {"etag": "d41d8cd98f00b204e9800998ecf8427e", "sequencer": f"{7:016X}"},
        ),
        ("ObjectTagging:Delete", False, "Object Tags Deleted", {"etag": "e"}),
        ("ObjectAcl:Put", False, "Object ACL Updated", {"etag": "e"}),
    ],
)
def test_what_a_bus_is_told(name: str, marker: bool, type_: str, told: dict[str, Any]) -> None:
    """As AWS's documentation and recorded answers have it: keys as they are, and no address where nobody asked."""
    made = Object("a b/ü", 5, "" if marker else "e", 0.0, {}, (), version="v", marker=marker)
    lifecycle = name.startswith("Lifecycle")
    entry = orjson.loads(
        bus_entry(
            Happening(name, made, lifecycle_origin() if lifecycle else BY, source_bucket("b", "x", "r"), 7, NOW)
        )
    )
    detail = orjson.loads(entry.pop("Detail"))
    assert entry == {"Time": NOW, "Source": "aws.s3", "DetailType": type_, "Resources": ["arn:aws:s3:::b"]}
    assert detail.pop("object") == {"key": "a b/ü", "version-id": "v", **told}
    assert detail.pop("version") == "0" and detail.pop("bucket") == {"name": "b"}
    assert detail.pop("request-id") == ("" if lifecycle else "r")
    why = {
        "Object Created": {"reason": "POST Object"},
        "Object Deleted": {"reason": "DeleteObject", "deletion-type": "Permanently Deleted"},
    }.get(type_, {})
    if lifecycle:
        why = {"reason": "Lifecycle Expiration", "deletion-type": "Delete Marker Created"}
        assert detail == {"requester": "s3.amazonaws.com", **why}
    else:
        assert detail == {"requester": "111122223333", "source-ip-address": "192.0.2.1", **why}


def test_all_destinations_are_asked_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other none of these would answer. What is late is refused, and named."""
    monkeypatch.setattr(configuring, "CHECK_SECONDS", 2.0)
    arns, begun, both = [f"{ARN}{at}" for at in range(3)], list[str](), anyio.Event()

    async def send(to: Route, events: Sequence[Waiting]) -> Sent:
        begun.append(to.target)
        if len(begun) >= 2:
            both.set()
        await (anyio.sleep_forever() if to.target == arns[2] else both.wait())
        if to.target == arns[1] and len(begun) in (3, 4):
            raise Undelivered("it is away")
        return Sent([events[0].number], [])

    configurations = [
        {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"], "Filter": {"Key": {"FilterRules": [
            {"Name": "prefix", "Value": f"{at}/"}]}}}
        for at, arn in enumerate(arns)
    ]  # fmt: skip
    events = SimpleNamespace(destinations=SimpleNamespace(send=send))
    context = cast("S3Context", SimpleNamespace(events=events, clock=lambda: NOW))
    request, ref = cast("S3Request", SimpleNamespace(id="r")), BucketRef("b", "b", "arn:aws:s3:::b", 0.0)

    def ask(count: int) -> None:
        checked = check_notification({"QueueConfigurations": configurations[:count]})
        anyio.run(configuring._require_destinations, context, request, ref, checked)

    ask(2)
    with pytest.raises(S3Error, match=f"{ARN}1: it is away"):
        ask(2)
    with pytest.raises(S3Error, match="did not answer in time"):
        ask(3)
