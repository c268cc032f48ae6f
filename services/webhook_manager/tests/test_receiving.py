"""Messages that come in: proven or refused, durable before they are answered, and passed on."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from standardwebhooks.webhooks import Webhook

from crds.errors import Unavailable
from services.sdk.aws.role_calls import CallFault
from services.sdk.testing import virtual_time
from services.webhook_manager import verification
from services.webhook_manager.tests.in_memory import QUEUE, ROLE, Webhooks, webhooks_of

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = json.dumps({"id": "evt_1", "type": "charge.succeeded", "event_id": "Ev1"}).encode()


def mark(content: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


def github(body: bytes, at: int, secret: str = SECRET) -> dict[str, str]:
    return {
        "x-hub-signature-256": f"sha256={mark(body, secret)}",
        "x-github-event": "push",
        "x-github-delivery": "d-1",
    }


def stripe(body: bytes, at: int, secret: str = SECRET) -> dict[str, str]:
    return {"stripe-signature": f"t={at},v0=00,v1={'0' * 64},v1={mark(f'{at}.'.encode() + body, secret)}"}


def slack(body: bytes, at: int, secret: str = SECRET) -> dict[str, str]:
    return {
        "x-slack-request-timestamp": str(at),
        "x-slack-signature": f"v0={mark(f'v0:{at}:'.encode() + body, secret)}",
    }


def standard(body: bytes, at: int, secret: str = SECRET) -> dict[str, str]:
    when = datetime.fromtimestamp(at, UTC)
    signed = Webhook(secret).sign("msg-1", when, body.decode())
    return {"webhook-id": "msg-1", "webhook-timestamp": str(at), "webhook-signature": f"v1a,xx v1,AAAA {signed}"}


PROVIDERS = {
    "GitHub": (github, "d-1", "push"),
    "Stripe": (stripe, "evt_1", "charge.succeeded"),
    "Slack": (slack, "Ev1", "charge.succeeded"),
    "StandardWebhooks": (standard, "msg-1", "charge.succeeded"),
}


def seconds(webhooks: Webhooks) -> int:
    return int(webhooks.now().timestamp())


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_proven_goes_into_the_queue_once(provider: str, tmp_path: Path) -> None:
    sign, id, type = PROVIDERS[provider]

    @virtual_time
    async def run() -> None:
        async with webhooks_of(tmp_path) as webhooks:
            source = await webhooks.source(provider, SECRET)
            assert source.status.path == "/services/webhook-manager/inbound/default/s"
            headers = {**sign(BODY, seconds(webhooks)), "content-type": "application/json"}
            for _ in range(2):
                answer = await webhooks.post_in(BODY, headers)
                assert (answer.status_code, answer.json()) == (202, {"id": id})
            await webhooks.advance(1)
            ((use, operation, request),) = webhooks.outside.calls
            assert (use.role_arn, use.namespace, operation) == (ROLE, "default", "sqs:SendMessage")
            assert request["MessageBody"] == BODY.decode() and request["QueueUrl"].endswith("/incoming")
            told = {name: each["StringValue"] for name, each in request["MessageAttributes"].items()}
            assert told == {"webhook-id": id, "webhook-type": type, "content-type": "application/json"}

    run()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_not_proven_is_refused(provider: str, tmp_path: Path) -> None:
    sign, _, _ = PROVIDERS[provider]

    @virtual_time
    async def run() -> None:
        async with webhooks_of(tmp_path) as webhooks:
            await webhooks.source(provider, SECRET)
            now = seconds(webhooks)
            good = sign(BODY, now)
            other = sign(BODY, now, "whsec_" + "QUJD" * 8)
            refused = [(BODY + b" ", good), (BODY, other), (BODY, {}), (b"", good)]
            if provider != "GitHub":
                refused += [(BODY, sign(BODY, now - 400)), (BODY, sign(BODY, now + 400))]
            refused += [(BODY, {**good, name: ""}) for name in good if name not in ("x-github-event",)]
            for body, headers in refused:
                answer = await webhooks.post_in(body, headers)
                assert answer.status_code == 401, (body, headers)
            assert (await webhooks.post_in(BODY, good, "nobody")).content == answer.content, (
                "none is told from another"
            )
            await webhooks.advance(1)
            assert webhooks.outside.calls == []

    run()


@virtual_time
async def test_a_secret_of_another_type_proves_nothing(tmp_path: Path) -> None:
    """Whoever may write sources must not learn what is in any Secret."""
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.secret("database", type="Opaque", password="known-word")
        source = await webhooks.source("GitHub", SECRET, secretName="database")
        answer = await webhooks.post_in(BODY, github(BODY, 0, "known-word"))
        assert answer.status_code == 401
        (condition,) = source.status.conditions
        assert condition.reason == "NoSecret"


@virtual_time
async def test_an_empty_secret_proves_nothing(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.source("StandardWebhooks", "whsec_")
        at = str(seconds(webhooks))
        mark = hmac.digest(b"", f"a.{at}.".encode() + BODY, hashlib.sha256)
        forged = {"webhook-id": "a", "webhook-timestamp": at}
        forged["webhook-signature"] = f"v1,{base64.b64encode(mark).decode()}"
        assert (await webhooks.post_in(BODY, forged)).status_code == 401


@virtual_time
async def test_slack_s_challenge_is_answered_and_nothing_else_done(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.source("Slack", SECRET)
        body = json.dumps({"type": "url_verification", "challenge": "abc"}).encode()
        answer = await webhooks.post_in(body, slack(body, seconds(webhooks)))
        assert (answer.status_code, answer.json()) == (200, {"challenge": "abc"})
        assert (await webhooks.post_in(body, slack(body, seconds(webhooks), "other"))).status_code == 401
        await webhooks.advance(1)
        assert webhooks.outside.calls == []


@virtual_time
async def test_a_queue_that_is_away_gets_it_later_over_a_restart(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.source("GitHub", SECRET)
        webhooks.outside.refuses = lambda: CallFault("ServiceUnavailable", "away", lasting=False)
        assert (await webhooks.post_in(BODY, github(BODY, 0))).status_code == 202
        await webhooks.advance(1)
    async with webhooks_of(tmp_path, webhooks) as again:
        again.outside.refuses = lambda: None
        await again.advance(10)
        assert len(again.outside.calls) == 2
        told = await again.messages("sources/default/s")
        assert told["counts"] == {"Waiting": 0, "Delivered": 1, "Failed": 0}
        assert [each["fault"] for each in await again.attempts("sources/default/s")][1].startswith("ServiceUnav")


@virtual_time
async def test_a_source_may_send_on_to_an_endpoint(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.endpoint()
        await webhooks.source("GitHub", SECRET, endpoint="e")
        answer = await webhooks.post_in(b"\xff raw", {**github(b"\xff raw", 0), "content-type": "application/x-raw"})
        assert answer.status_code == 202
        await webhooks.advance(1)
        (request,) = webhooks.outside.requests
        assert (request.content, request.headers["content-type"]) == (b"\xff raw", "application/x-raw")
        assert request.headers["webhook-id"] == answer.json()["id"]


@virtual_time
async def test_senders_to_one_endpoint_take_no_id_from_each_other(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.endpoint()
        for name in ("a", "b"):
            await webhooks.source("GitHub", SECRET, name, endpoint="e")
        await webhooks.send(id="d-1")
        for name in ("a", "b", "a"):
            body = name.encode()
            assert (await webhooks.post_in(body, github(body, 0), name)).status_code == 202
        await webhooks.advance(1)
        assert len(set(webhooks.outside.ids)) == 3
        assert [each.content for each in webhooks.outside.requests][1:] == [b"a", b"b"]


@virtual_time
async def test_a_value_that_proves_nothing_switches_no_other_one_off(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.secret("both", aa="no base64!", good=SECRET)
        source = await webhooks.source("StandardWebhooks", SECRET, secretName="both")
        assert (await webhooks.post_in(BODY, standard(BODY, seconds(webhooks)))).status_code == 202
        (condition,) = source.status.conditions
        assert condition.reason == "InvalidSecret" and "`aa`" in condition.message
        await webhooks.secret("many", **{f"v{number}": f"secret-{number}" for number in range(9)})
        source = await webhooks.source("GitHub", SECRET, "t", secretName="many")
        assert source.status.conditions[0].reason == "InvalidSecret"
        assert (await webhooks.post_in(BODY, github(BODY, 0, "secret-7"), "t")).status_code == 202
        assert (await webhooks.post_in(BODY, github(BODY, 0, "secret-8"), "t")).status_code == 401


def test_the_content_is_digested_once_for_each_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    digests: list[bytes] = []
    digest = hmac.digest

    def counted(key: bytes, content: bytes, name: Any) -> bytes:
        digests.append(content)
        return digest(key, content, name)

    monkeypatch.setattr(hmac, "digest", counted)
    given = ",".join(["t=1000", *(f"v1={number:064x}" for number in range(100))])
    with pytest.raises(verification.NotProven):
        verification.verified("Stripe", {"stripe-signature": given}, BODY, ["a", "b", "c"], 1000.0)
    assert len(digests) == 3


@virtual_time
async def test_what_anybody_posts_asks_no_conductor_again_and_again(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.source("GitHub", SECRET)
        reads = webhooks.count_reads_of_secrets(Unavailable("away"))

        async def post() -> None:
            assert (await webhooks.post_in(BODY, github(BODY, 0))).status_code == 503

        for _ in range(2):
            async with anyio.create_task_group() as group:
                for _ in range(10):
                    group.start_soon(post)
        assert len(reads) == 1


@virtual_time
async def test_headers_that_nobody_could_be_sent_are_refused(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.endpoint()
        await webhooks.source("GitHub", SECRET, endpoint="e")
        wrong: list[tuple[str, bytes, int]] = [
            ("content-type", "text/plän".encode("latin-1"), 415),
            ("content-type", b"a" * 201, 415),
            ("x-github-event", b"e" * 101, 401),
            ("x-github-event", b"a b", 401),
        ]
        for name, value, status in wrong:
            headers = {key.encode(): each.encode() for key, each in github(BODY, 0).items()}
            answer = await webhooks.post_in(BODY, {**headers, name.encode(): value})
            assert answer.status_code == status, (name, value, answer.text)


@virtual_time
async def test_fifo_queues_know_doubles_by_the_id(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        queue = {"arn": f"{QUEUE}.fifo", "roleArn": ROLE, "messageGroupId": "g"}
        await webhooks.source("GitHub", SECRET, queue=queue)
        await webhooks.post_in(BODY, github(BODY, 0))
        await webhooks.advance(1)
        request = webhooks.outside.calls[0][2]
        assert (request["MessageGroupId"], request["MessageDeduplicationId"]) == ("g", "d-1")


@virtual_time
async def test_both_secrets_hold_while_one_takes_the_other_s_place(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.secret("both", old="old-secret", new="new-secret")
        await webhooks.source("GitHub", SECRET, secretName="both")
        for number, secret in enumerate(("old-secret", "new-secret")):
            headers = {**github(BODY, 0, secret), "x-github-delivery": f"n{number}"}
            assert (await webhooks.post_in(BODY, headers)).status_code == 202


@virtual_time
async def test_what_no_queue_takes_is_told_to_the_sender(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.source("GitHub", SECRET)
        for body in (b"x" * 250_001, b"\xff\xfe"):
            assert (await webhooks.post_in(body, github(body, 0))).status_code in (413, 415)


def test_specs_that_lead_nowhere_are_refused() -> None:
    from services.webhook_manager.source_kinds import WebhookSourceSpec

    good: dict[str, Any] = {"provider": "GitHub", "secretName": "s"}
    queue = {"arn": QUEUE, "roleArn": ROLE}
    for wrong in (
        {},
        {"queue": queue, "endpoint": "e"},
        {"queue": {**queue, "arn": "arn:aws:sns:us-east-1:000000000000:t"}},
        {"queue": {**queue, "roleArn": "arn:aws:iam::000000000000:user/u"}},
        {"queue": {**queue, "arn": f"{QUEUE}.fifo"}},
        {"queue": {**queue, "messageGroupId": "g"}},
    ):
        with pytest.raises(ValueError, match=r"queue|arn|roleArn|messageGroupId"):
            WebhookSourceSpec.model_validate({**good, **wrong})
