"""Between conductor and gateway: records arrive as they were, copies follow, and what was done is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.api.components import House

from api.audit.attributes import attributes_of, aws_attributes
from api.audit.notes import Notes
from api.audit.policy import Level, Policy, Rule
from api.auth.oidc.options import OidcOptions
from api.auth.principal import Principal, Proof
from api.channel.conductor import Channel
from api.channel.records import endpoints_line, read_record, record_line, synced_line
from api.channel.replication import Replication
from api.channel.reports import MOST_BYTES, Reports, audit_line, read_audit
from api.channel.settings import GatewaySettings, read_settings, settings_line
from api.gateway import reporter as reporting
from api.gateway.replica import Replica
from api.gateway.reporter import Counts, EventCounts, Reporter, TrafficCounts
from controller.runtime.endpoints import Endpoint
from controller.store.records import Record, StoreBroken
from crds.errors import Unavailable
from crds.kinds.service import SERVICE
from crds.kinds.user import USER
from crds.meta import ObjectKey

pytestmark = pytest.mark.anyio
TEXT = st.text(max_size=12)
KEYS = st.builds(ObjectKey, TEXT, TEXT, TEXT, TEXT)
MOMENTS = st.datetimes(timezones=st.just(UTC))
RECORDS = st.builds(
    Record,
    st.integers(1, 2**53),
    KEYS,
    TEXT,
    st.sampled_from(["created", "updated", "deleted"]),
    st.integers(0, 2**31),
    st.text(max_size=40).map(str.encode),
    st.integers(0, 2**53),
    MOMENTS,
    TEXT,
)


@given(RECORDS)
def test_a_record_arrives_as_it_was(record: Record) -> None:
    line = record_line(record)
    word, *fields = orjson.loads(line)
    assert (word, line.count(b"\n")) == ("record", 1)
    assert read_record(fields) == record


def user(name: str, revision: int, verb: Any = "created") -> Record:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    return Record(revision, USER.key(name), f"u-{name}", verb, 1, b"{}", 0, now, "test")


WEB = SERVICE.key("web")


async def follow(*streams: list[bytes], use: Any = lambda _: None) -> Replica:
    """A replica that was told these lines, one stream after the other; each breaks off at its end."""
    left, done = list(streams), anyio.Event()

    async def ask() -> AsyncIterator[bytes]:
        if not left:
            done.set()
            await anyio.sleep_forever()
        for line in left.pop(0):
            yield line
        raise ConnectionError("the conductor went")

    replica = Replica(ask, use)
    async with anyio.create_task_group() as group:
        group.start_soon(replica.run)
        await done.wait()
        group.cancel_scope.cancel()
    return replica


async def test_a_copy_is_complete_before_it_counts_and_follows_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.gateway.replica.AGAIN_SECONDS", 0)
    half = await follow([record_line(user("ann", 1))])
    assert (half.store.get(USER.key("ann")), half.synced.is_set()) == (None, False)
    replica = await follow(
        [
            record_line(user("ann", 1)),
            endpoints_line(WEB, "w", [Endpoint("web-0", "127.0.0.1:1")]),
            synced_line(3),
            record_line(user("ben", 4)),
            record_line(user("ann", 5, "deleted")),
            endpoints_line(WEB, "w", [Endpoint("web-0", "127.0.0.1:2")]),
        ]
    )
    assert [each.key.name for each in replica.store.list(USER.group, USER.plural).records] == ["ben"]
    assert (replica.store.revision, replica.endpoints.ready(WEB, "w")[0].address) == (5, "127.0.0.1:2")
    with pytest.raises(StoreBroken, match="writes nothing"):
        await replica.store.write([], by="test")


async def test_what_went_while_the_conductor_was_away_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.gateway.replica.AGAIN_SECONDS", 0)
    told = [record_line(user("ann", 1)), endpoints_line(WEB, "w", [Endpoint("web-0", "h:1")]), synced_line(1)]
    replica = await follow(
        told, [record_line(user("ben", 7)), b"no JSON"], [record_line(user("cal", 9)), synced_line(9)]
    )
    assert [each.key.name for each in replica.store.list(USER.group, USER.plural).records] == ["cal"]
    assert replica.endpoints.ready(WEB, "w") == ()


async def test_the_conductor_tells_everything_and_then_what_changes(house: House) -> None:
    await house.add_user("ann", "viewer")
    house.endpoints.put(WEB, "w", [Endpoint("web-0", "h:1")])
    app = Channel(house.door, Replication(house.store, house.endpoints), None)  # type: ignore[arg-type]
    left, lines = anyio.Event(), list[Any]()

    def names() -> set[str]:
        return {each[5] for each in lines if each[0] == "record"}

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        lines.extend(orjson.loads(each) for each in message.get("body", b"").splitlines())
        if lines and lines[-1][0] == "synced":
            assert "ann" in names()
            await house.add_user("ben", "viewer")
            house.endpoints.put(WEB, "w", [])
        if "ben" in names() and ["endpoints", *WEB, "w", []] in lines:
            left.set()

    with anyio.fail_after(30):
        await app({"type": "http", "method": "GET", "path": "/internal/replica", "headers": []}, receive, send)
    assert {each[3] for each in lines if each[0] == "record"}.isdisjoint({"secrets", "configmaps"})


async def test_gateways_hear_how_many_they_are(house: House) -> None:
    replication = Replication(house.store, house.endpoints, GatewaySettings(per_principal=7))
    heard: dict[str, list[GatewaySettings]] = {"one": [], "two": []}
    leave = {name: anyio.Event() for name in heard}

    async def follow(name: str) -> None:
        async def receive() -> dict[str, Any]:
            await leave[name].wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            for word, *fields in map(orjson.loads, message.get("body", b"").splitlines()):
                if word == "settings":
                    heard[name].append(read_settings(fields[0]))
            if name == "two":
                leave["two"].set()
            if [each.gateways for each in heard["one"]] == [1, 2, 1]:
                leave["one"].set()

        await replication.serve({"type": "http"}, receive, send)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(follow, "one")
            await anyio.wait_all_tasks_blocked()
            group.start_soon(follow, "two")
    assert [each.gateways for each in heard["one"]] == [1, 2, 1]
    assert {each.per_principal for each in heard["one"]} == {7}


async def test_a_replica_hands_settings_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.gateway.replica.AGAIN_SECONDS", 0)
    issuer = OidcOptions("https://x", "c", required_claims={"a": "b"}, algorithms=("ES256",), ca=Path("/ca"))
    settings, used = GatewaySettings(1, 2, 3, 4, issuer), list[GatewaySettings]()
    await follow([synced_line(1), settings_line(settings)], use=used.append)
    assert used == [settings]


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [("POST", "/internal/replica", 405), ("GET", "/internal/reports", 405), ("GET", "/internal/other", 404)],
)
async def test_the_channel_serves_two_things(house: House, method: str, path: str, code: int) -> None:
    app = Channel(house.door, None, None)  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app, client=("", 0))
    async with httpx.AsyncClient(transport=transport, base_url="https://x") as client:
        assert (await client.request(method, path)).status_code == code
        assert (await client.get("/version")).status_code == 200


async def test_nobody_reaches_the_channel_by_the_front_door(house: House) -> None:
    async with house.client(house.bearer(Principal("root", frozenset({"system:masters"})))) as client:
        assert (await client.get("/internal/replica")).status_code == 404
        assert (await client.post("/internal/reports", content=b"{}")).status_code in (404, 415)


class Heard:
    """Everything the conductor is told."""

    def __init__(self) -> None:
        self.lines: list[tuple[Any, ...]] = []

    def note(self, *told: Any) -> None:
        self.lines.append(told)

    def used(self, key: str, service: str) -> None:
        self.lines.append(("used", key, service))


SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/a b",
    "query_string": b"x=1",
    "headers": [(b"user-agent", b"aws"), (b"authorization", b"AWS4-HMAC-SHA256 secret")],
    "client": ("127.0.0.1", 5),
}


async def test_what_a_gateway_did_is_told_once_the_conductor_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "EVERY_SECONDS", 0)
    monkeypatch.setattr(reporting, "AGAIN_SECONDS", 0)
    audit, metrics, traffic, used, events = Heard(), Heard(), Heard(), Heard(), Heard()
    services: list[str] = []
    taken = Reports(audit, metrics, traffic, used.used, events, services.append)
    away, done = [True, True], anyio.Event()

    async def deliver(body: bytes) -> None:
        if away:
            away.pop()
            raise ConnectionError("nobody there")

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        assert (await taken.answer(receive)).code == 204
        done.set()

    reporter = Reporter(deliver)
    who = Principal("ann", frozenset({"a", "b"}), "team", acting="op", proof=Proof({"sid": "s1"}, 1.0))
    reporter.note(dict(SCOPE), who, 200, "r1")
    Counts(reporter).note("aws", "POST", 200, 0.5)
    Counts(reporter).note("aws", "GET", 200, None)
    TrafficCounts(reporter).note("", "key-manager", 200, 0.25)
    reporter.used("AKIA1", "key-manager")
    EventCounts(reporter).note("ejected", "key-manager", "key-manager-0", 2.0)
    reporter.wanted("notes-manager")
    reporter.wanted("notes-manager")
    async with anyio.create_task_group() as group:
        group.start_soon(reporter.run)
        with anyio.fail_after(30):
            await done.wait()
        group.cancel_scope.cancel()
    assert services == ["key-manager", "notes-manager"], "who answered, and who is waited for"
    ((scope, principal, code, request, stage),) = audit.lines
    assert (code, request, stage, scope["path"], scope["client"][0]) == (
        200,
        "r1",
        "ResponseComplete",
        "/a b",
        "127.0.0.1",
    )
    assert (principal, principal.session) == (who, "s1")
    assert b"secret" not in audit_line(SCOPE, scope["aerekos.audit"], who, 200, "r1", stage)
    assert metrics.lines == [("aws", "POST", 200, 0.5), ("aws", "GET", 200, None)]
    assert events.lines == [("ejected", "key-manager", "key-manager-0", 2.0)]
    assert (traffic.lines, used.lines) == ([("", "key-manager", 200, 0.25)], [("used", "AKIA1", "key-manager")])


def test_no_policy_gets_bodies_of_what_gateways_answer() -> None:
    """So they are not told either (`Reporter.keeps_bodies`)."""
    everything = Policy([Rule(Level.REQUEST_RESPONSE)])
    calls = (
        attributes_of("PUT", "/services/web/x", b""),
        aws_attributes("/", "kms", "kms:Encrypt", ""),
        aws_attributes("/bucket/key", "s3", "", ""),
    )
    assert {everything.judge("ann", frozenset(), each).level for each in calls} == {Level.METADATA}
    assert everything.judge("ann", frozenset(), attributes_of("PUT", "/api/v1/namespaces/x", b"")).level > 1


async def test_what_cannot_be_noted_any_more_is_refused_if_it_changes_something(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reporting, "MOST_WAITING", 2)

    async def deliver(body: bytes) -> None:
        raise ConnectionError

    reporter = Reporter(deliver)
    for _ in range(2):
        reporter.check(SCOPE)
        reporter.note(dict(SCOPE), None, 200, "r")
    with pytest.raises(Unavailable, match="cannot be noted"):
        reporter.check(SCOPE)
    reporter.check({**SCOPE, "method": "GET"})
    reporter.note(dict(SCOPE), None, 200, "r")
    assert reporter.lost == 1


async def test_many_long_requests_are_more_than_one_report() -> None:
    """Or the conductor would refuse it as too large, again and again, and every change behind it."""
    sizes = list[int]()

    async def deliver(body: bytes) -> None:
        sizes.append(len(body))

    reporter = Reporter(deliver)
    for number in range(1000):
        reporter.note({**SCOPE, "query_string": b"q" * 16_000}, None, 200, f"r{number}")
    await reporter.flush()
    assert len(sizes) > 1
    assert max(sizes) < MOST_BYTES


@given(st.binary(max_size=300))
def test_a_report_that_is_none_is_said_to_be(body: bytes) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def answer() -> None:
        heard = Heard()
        try:
            await Reports(heard, heard, heard, heard.used, heard).answer(receive)
        except Exception as error:
            assert type(error).__name__ == "BadRequest"

    anyio.run(answer)


def test_what_an_audit_line_is_made_of_survives_the_way() -> None:
    notes = Notes(aws="kms", action="kms:Decrypt", annotations={"a": "b"})
    scope, who = read_audit(orjson.loads(audit_line(SCOPE, notes, None, 200, "r1", "ResponseComplete")))
    assert (scope["method"], scope["query_string"], who) == ("POST", b"x=1", None)
    assert scope["aerekos.audit"] == notes
