"""Messages that go out: signed so that unmodified receivers take them, repeated until they do, never lost."""

from __future__ import annotations

import gc
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.formats.json import JSONFormat
from pydantic import ValidationError
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from crds.formats import FormatVersion
from crds.kinds.namespace import NAMESPACE
from services.sdk.sqlite_file import SqliteFile
from services.sdk.testing import User, virtual_time
from services.webhook_manager import routes
from services.webhook_manager.backup import HOOKS
from services.webhook_manager.bodies import NewMessage
from services.webhook_manager.engine import MOST_OF_ONE
from services.webhook_manager.kinds import WEBHOOK_ENDPOINT
from services.webhook_manager.message import Message
from services.webhook_manager.message_store import FILE, LOCK, MIGRATIONS
from services.webhook_manager.tests.in_memory import webhooks_of


@virtual_time
async def test_an_unmodified_receiver_verifies_it(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.endpoint()
        id = await webhooks.send("invoice.paid", data={"amount": 5})
        await webhooks.advance(1)
        (request,) = webhooks.outside.requests
        secret = (await webhooks.secrets_of())["secret"]
        told = Webhook(secret).verify(request.content, dict(request.headers))
        assert (told["type"], told["data"]) == ("invoice.paid", {"amount": 5})
        assert request.headers["webhook-id"] == id
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(request.content + b" ", dict(request.headers))


@virtual_time
async def test_what_is_sent_is_shown_to_whoever_may_send(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.endpoint()
        await webhooks.endpoint("other")
        id = await webhooks.send("invoice.paid", data={"amount": 5})
        await webhooks.advance(1)
        path = "/endpoints/default/{}/messages/{}/content"
        viewer = webhooks.service.conductor.add(User("viewer", access_key="AKIAVIEWERVIEWER0000"))
        webhooks.service.conductor.refuse("viewer", "use")
        for endpoint, message, user, status in (
            ("e", id, None, 200),
            ("e", id, viewer, 403),
            ("other", id, None, 404),
            ("e", "none", None, 404),
        ):
            async with webhooks.service.client(user) as client:
                answer = await client.get(path.format(endpoint, message))
            assert answer.status_code == status, answer.text
            assert (answer.content == webhooks.outside.requests[0].content) == (status == 200)
            assert answer.headers["x-aerekos-audit-action"] == "webhookendpoints:use"
            assert answer.headers["x-aerekos-audit-resource"] == f"default/{endpoint}"


@virtual_time
async def test_two_secrets_verify_during_a_rotation_and_one_after_it(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.endpoint(secretOverlapHours=1)
        old = (await webhooks.secrets_of())["secret"]
        await webhooks.change(secretVersion=2)
        new = (await webhooks.secrets_of())["secret"]
        await webhooks.advance(30)
        await webhooks.send()
        await webhooks.advance(1)
        last = webhooks.outside.requests[-1]
        for secret in (old, new):
            Webhook(secret).verify(last.content, dict(last.headers))
        await webhooks.advance(3600)
        assert set(await webhooks.secrets_of()) == {"secret"}
        await webhooks.send()
        await webhooks.advance(1)
        last = webhooks.outside.requests[-1]
        assert len(last.headers["webhook-signature"].split()) == 1
        assert (await webhooks.read()).status.secret_version == 2


@pytest.mark.parametrize("format", ["CloudEventsStructured", "CloudEventsBinary"])
def test_the_sdk_of_cloudevents_reads_it(format: str, tmp_path: Path) -> None:
    @virtual_time
    async def run() -> None:
        async with webhooks_of(tmp_path) as webhooks:
            await webhooks.endpoint(format=format)
            data: dict[str, Any] = {"a": [1, "ä"]}
            id = await webhooks.send("made", data=data, source="/shop", subject='50 % "off" ä')
            await webhooks.advance(1)
            (request,) = webhooks.outside.requests
            event = from_http_event(HTTPMessage(dict(request.headers), request.content), JSONFormat())
            assert (event.get_id(), event.get_type(), event.get_source()) == (id, "made", "/shop")
            assert (event.get_subject(), event.get_data()) == ('50 % "off" ä', data)
            secret = (await webhooks.secrets_of())["secret"]
            Webhook(secret).verify(request.content, dict(request.headers))

    run()


@virtual_time
async def test_it_is_repeated_and_then_given_up(tmp_path: Path) -> None:
    delays = [5, 300, 1800, 1800]
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.endpoint(retryDelaySeconds=delays)
        webhooks.outside.answer = lambda request: httpx.Response(503)
        began = webhooks.now()
        id = await webhooks.send()
        await webhooks.advance(2 * 3600)
        times = [(each - began).total_seconds() for each in webhooks.outside.times]
        assert len(times) == len(delays) + 1
        assert set(webhooks.outside.ids) == {id}, "the same id on every attempt"
        for (before, after), delay in zip(pairwise(times), delays, strict=True):
            assert 0.8 * delay <= after - before <= 1.2 * delay + 0.1
        told = await webhooks.messages(query="?state=Failed")
        assert [(each["id"], each["attempts"]) for each in told["messages"]] == [(id, 5)]
        assert told["counts"] == {"Waiting": 0, "Delivered": 0, "Failed": 1}
        attempts = await webhooks.attempts(query=f"?id={id}")
        assert [each["status"] for each in attempts] == [503] * 5


@virtual_time
async def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.endpoint(retryDelaySeconds=[600])
        webhooks.outside.answer = lambda request: httpx.Response(500)
        id = await webhooks.send()
        await webhooks.advance(1)
    async with webhooks_of(tmp_path, webhooks) as again:
        again.outside.answer = lambda request: httpx.Response(200)
        await again.advance(300)
        assert len(again.outside.requests) == 1, "it is not due yet"
        await again.advance(600)
        assert again.outside.ids == [id, id]
        assert (await again.messages())["counts"]["Delivered"] == 1


@virtual_time
async def test_retry_after_is_honoured(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.endpoint()
        webhooks.outside.answer = lambda request: httpx.Response(429, headers={"retry-after": "120"})
        await webhooks.send()
        await webhooks.advance(110)
        assert len(webhooks.outside.requests) == 1
        await webhooks.advance(20)
        assert len(webhooks.outside.requests) == 2


@virtual_time
async def test_concurrency_and_rate_are_per_endpoint(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.endpoint("slow", concurrency=2)
        await webhooks.endpoint("paced", ratePerSecond=2)
        webhooks.outside.seconds = 10
        for _ in range(6):
            await webhooks.send(endpoint="slow")
        await webhooks.advance(35)
        assert (len(webhooks.outside.requests), webhooks.outside.most_under_way) == (6, 2)
        webhooks.outside.seconds, webhooks.outside.times = 0, []
        for _ in range(5):
            await webhooks.send(endpoint="paced")
        await webhooks.advance(10)
        times = webhooks.outside.times
        assert [b - a for a, b in pairwise(times)] == [timedelta(seconds=0.5)] * 4


@virtual_time
async def test_days_of_failing_disable_it_and_it_recovers(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.endpoint(disableAfterDays=1)
        webhooks.outside.answer = lambda request: httpx.Response(500)
        first = await webhooks.send()
        await webhooks.advance(3600)
        status = (await webhooks.read()).status
        assert (status.phase, status.disabled_at) == ("Failing", None)
        await webhooks.advance(1.5 * 86_400)
        status = (await webhooks.read()).status
        assert status.phase == "Disabled" and "1 day:" in status.disabled_because
        number = len(webhooks.outside.requests)
        second = await webhooks.send()
        webhooks.outside.answer = lambda request: httpx.Response(200)
        await webhooks.advance(3600)
        assert len(webhooks.outside.requests) == number, "nothing is sent; it waits"
        assert (await webhooks.ask("POST", "/endpoints/default/e/enable")).status_code == 204
        await webhooks.advance(1)
        assert set(webhooks.outside.ids[number:]) == {first, second}
        assert (await webhooks.read()).status.phase == "Active"


@virtual_time
async def test_410_disables_at_once_until_the_spec_is_another_one(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.endpoint()
        webhooks.outside.answer = lambda request: httpx.Response(410)
        await webhooks.send()
        await webhooks.advance(1)
        assert (await webhooks.read()).status.disabled_because == "it answered 410 Gone"
    async with webhooks_of(tmp_path, webhooks) as again:
        again.outside.answer = lambda request: httpx.Response(200)
        await again.advance(1)
        waits = await again.send()
        await again.advance(1)
        assert waits not in again.outside.ids and (await again.read()).status.phase == "Disabled"
        await again.change(url="https://new.example.com/")
        await again.advance(1)
        assert again.outside.ids[-1] == waits and (await again.read()).status.phase == "Active"


@virtual_time
async def test_what_ended_is_sent_again_by_id_and_by_time(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.endpoint(retryDelaySeconds=[])
        delivered = await webhooks.send()
        await webhooks.advance(60)
        since = webhooks.now().isoformat()
        webhooks.outside.answer = lambda request: httpx.Response(500)
        failed = [await webhooks.send() for _ in range(3)]
        await webhooks.advance(1)
        webhooks.outside.answer, webhooks.outside.requests = lambda request: httpx.Response(200), []
        answer = await webhooks.ask("POST", "/endpoints/default/e/replay", {"since": since})
        assert answer.json() == {"messages": 3}
        await webhooks.advance(1)
        assert webhooks.outside.ids == failed
        answer = await webhooks.ask("POST", "/endpoints/default/e/replay", {"ids": [delivered, "nobody"]})
        assert answer.json() == {"messages": 1}
        await webhooks.advance(1)
        assert webhooks.outside.ids[-1] == delivered


@virtual_time
async def test_an_id_is_sent_once_and_means_one_message(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.endpoint()
        for path in ("endpoints/default/e", "namespaces/default", "endpoints/default/e"):
            body: dict[str, Any] = {"type": "paid", "id": "order-1", "data": {"b": 1, "a": 2}}
            assert (await webhooks.ask("POST", f"/{path}/messages", body)).status_code == 202
            await webhooks.advance(1)
        assert webhooks.outside.ids == ["order-1"]
        for other in ({"data": 2}, {"type": "sent"}, {"subject": "s"}, {"time": webhooks.now().isoformat()}):
            answer = await webhooks.ask("POST", "/endpoints/default/e/messages", {**body, **other})
            assert answer.status_code == 409, other


@pytest.mark.parametrize("data", ["18446744073709551616", "[NaN]", "-Infinity"])
def test_what_not_all_can_read_is_refused(data: str) -> None:
    with pytest.raises(ValidationError, match="data"):
        NewMessage.model_validate_json(f'{{"type": "paid", "data": {data}}}', strict=True)


@virtual_time
async def test_one_message_goes_to_all_who_want_its_type(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.endpoint("all", url="https://all.example.com")
        await webhooks.endpoint("invoices", url="https://invoices.example.com", types=["invoice.*", "x"])
        await webhooks.endpoint("other", url="https://other.example.com", types=["order.made"])
        answer = await webhooks.ask("POST", "/namespaces/default/messages", {"type": "invoice.paid"})
        assert answer.json()["endpoints"] == ["all", "invoices"]
        await webhooks.advance(1)
        hosts = sorted(each.headers["host"] for each in webhooks.outside.requests)
        assert hosts == ["all.example.com", "invoices.example.com"]
        told = (await webhooks.ask("GET", "/namespaces/default/endpoints")).json()["endpoints"]
        assert {each["name"]: each["counts"]["Delivered"] for each in told} == {"all": 1, "invoices": 1, "other": 0}


@virtual_time
async def test_what_waits_for_its_place_is_not_in_memory(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        webhooks.outside.seconds = 5
        made = [await webhooks.endpoint(name, concurrency=64, timeoutSeconds=30) for name in ("a", "b")]
        uids = {each.metadata.uid for each in made}
        for _ in range(40):
            await webhooks.ask("POST", "/namespaces/default/messages", {"type": "paid"})
        await webhooks.advance(1)
        gc.collect()  # what other tests left
        held = [each for each in gc.get_objects() if isinstance(each, Message) and each.to in uids]
        assert len(held) == MOST_OF_ONE
        await webhooks.advance(10)
        assert len(webhooks.outside.requests) == 80


@virtual_time
async def test_what_is_sent_to_all_is_no_more_than_one_request_may_write(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        for number in range(3):
            await webhooks.endpoint(f"e{number}")
        webhooks.outside.answer = lambda request: httpx.Response(500)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(routes, "MOST_BYTES_TO_ALL", 2_500)
            body = {"type": "paid", "data": "x" * 1_000}
            answer = await webhooks.ask("POST", "/namespaces/default/messages", body)
            assert answer.status_code == 413, answer.text
            body["data"] = "x" * 500
            assert (await webhooks.ask("POST", "/namespaces/default/messages", body)).status_code == 202
        told = (await webhooks.ask("GET", "/namespaces/default/endpoints")).json()["endpoints"]
        assert [each["counts"]["Waiting"] for each in told] == [1, 1, 1]


@pytest.mark.parametrize(
    ("url", "addresses", "note", "sent"),
    [
        ("https://a.example.com", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1"], "", 0),
        ("http://a.example.com", ["203.0.114.7"], "true", 0),
        ("https://a.example.com", ["10.0.0.1"], "true", 1),
        ("http://a.example.com", ["10.0.0.1"], "true", 1),
        ("https://a.example.com", ["127.0.0.1", "169.254.169.254"], "true", 0),
    ],
)
def test_only_what_may_be_called_is(url: str, addresses: list[str], note: str, sent: int, tmp_path: Path) -> None:
    @virtual_time
    async def run() -> None:
        async with webhooks_of(tmp_path) as webhooks:
            if note:
                notes = {"annotations": {"aerekos.cloud/webhooks-to-private-network": note}}
                await webhooks.service.resources.patch(NAMESPACE, "default", {"metadata": notes})
            webhooks.outside.addresses = addresses
            await webhooks.endpoint(url=url)
            await webhooks.send()
            await webhooks.advance(1)
            assert len(webhooks.outside.requests) == sent

    run()


@virtual_time
async def test_a_deleted_endpoint_is_forgotten_and_sent_nothing(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.endpoint()
        webhooks.outside.answer = lambda request: httpx.Response(500)
        await webhooks.send()
        await webhooks.advance(1)
        await webhooks.service.resources.delete(WEBHOOK_ENDPOINT, "e", "default")
        await webhooks.advance(86_400)
        assert len(webhooks.outside.requests) == 1
        await webhooks.endpoint()
        assert (await webhooks.messages())["counts"] == {"Waiting": 0, "Delivered": 0, "Failed": 0}


@virtual_time
async def test_while_nothing_can_be_signed_nothing_is_sent_and_nobody_failed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.endpoint(concurrency=10, enabled=False)
        await webhooks.sign_with("nonsense")
        reads = webhooks.count_reads_of_secrets()
        for _ in range(10):
            await webhooks.send()
        await webhooks.change(enabled=True)
        await webhooks.advance(60)
        status = (await webhooks.read()).status
        assert (webhooks.outside.requests, status.secret_version) == ([], 0)
        assert {each.reason for each in status.conditions} == {"InvalidSecret"}
        assert len(reads) <= 15, "however many wait, it is read every few seconds"
        assert sum("nothing is sent" in each.getMessage() for each in caplog.records) == 1
        secret = "whsec_" + "c2VjcmV0" * 4
        await webhooks.sign_with(secret)
        await webhooks.advance(30)
        assert len(webhooks.outside.requests) == 10
        assert (await webhooks.read()).status.secret_version == 1
        request = webhooks.outside.requests[0]
        Webhook(secret).verify(request.content, dict(request.headers))


@virtual_time
async def test_what_can_never_be_signed_is_given_up(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.endpoint(retentionHours=1)
        await webhooks.sign_with("nonsense")
        await webhooks.send()
        await webhooks.advance(7210)
        assert (await webhooks.messages())["counts"] == {"Waiting": 0, "Delivered": 0, "Failed": 1}


@virtual_time
async def test_a_rotation_away_from_what_cannot_sign_signs(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.endpoint()
        await webhooks.sign_with("nonsense")
        await webhooks.change(secretVersion=2)
        await webhooks.advance(30)
        secrets = await webhooks.secrets_of()
        assert set(secrets) == {"secret"}
        await webhooks.send()
        await webhooks.advance(1)
        (request,) = webhooks.outside.requests
        Webhook(secrets["secret"]).verify(request.content, dict(request.headers))
        await webhooks.change(secretVersion=3)
        await webhooks.sign_with((await webhooks.secrets_of())["secret"], previous="nonsense")
        await webhooks.advance(30)
        await webhooks.send()
        await webhooks.advance(1)
        assert len(webhooks.outside.requests) == 2


@virtual_time
async def test_a_file_of_the_first_version_goes_on(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        made = await webhooks.endpoint(retryDelaySeconds=[600])
    (tmp_path / FILE).unlink()
    first = SqliteFile(tmp_path / FILE, tmp_path / LOCK, FormatVersion(1, 1), {1: MIGRATIONS[1]})
    first.connection.execute(
        "INSERT INTO messages (receiver, id, type, headers, content, made, state, due, attempts, fault)"
        " VALUES (?, 'old', 'paid', '{}', x'7b7d', ?, 0, 0, 0, '')",
        (made.metadata.uid, webhooks.now().timestamp()),
    )
    first.close()
    async with webhooks_of(tmp_path, webhooks) as again:
        await again.send(id="new")
        await again.advance(1)
        assert sorted(again.outside.ids) == ["new", "old"]


@virtual_time
async def test_what_waits_comes_back_from_a_backup(tmp_path: Path) -> None:
    data, scratch = tmp_path / "data", tmp_path / "scratch"
    scratch.mkdir()
    async with webhooks_of(data) as webhooks:
        await webhooks.endpoint()
        webhooks.outside.answer = lambda request: httpx.Response(500)
        id = await webhooks.send()
        await webhooks.advance(1)
        counts = HOOKS.snapshot(data, scratch).counts
        assert counts == HOOKS.restored(scratch) == {"messages": 1, "waiting": 1}
    async with webhooks_of(scratch, webhooks) as again:
        again.outside.answer = lambda request: httpx.Response(200)
        await again.advance(10)
        assert again.outside.ids[-1] == id
