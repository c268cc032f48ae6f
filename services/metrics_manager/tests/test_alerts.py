"""Alerts fire once, within seconds of their cause, and end; silences, inhibition, groups, restarts, tenants."""

from __future__ import annotations

import asyncio
import smtplib
import socket
import tempfile
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from crds.kinds.secret import SECRET
from services.metrics_manager.alert_kinds import (
    ALERT_CHANNEL,
    ALERT_RULE,
    ALERT_SILENCE,
    AlertChannelSpec,
    AlertRuleSpec,
    AlertSilenceSpec,
    MailTo,
)
from services.metrics_manager.alerts import alert, evaluating, messages, muting, notifying, sending
from services.metrics_manager.alerts.alert import Alert, Rule, advanced, alert_of, filled
from services.metrics_manager.alerts.muting import Silences
from services.metrics_manager.alerts.sending import deliver
from services.metrics_manager.kinds import SCRAPE_TARGET, ScrapeTargetSpec
from services.metrics_manager.queries import Queries
from services.metrics_manager.tests.in_memory import Metrics, metrics
from services.sdk.testing import User
from services.sdk.testing.virtual import virtual_time

CLOUD = "/metrics/cloud"
DEAD, ALIVE = 'aerekos_worker_ready{worker="w1"} 0\n', 'aerekos_worker_ready{worker="w1"} 1\n'


async def channel(
    m: Metrics, name: str = "ops", namespace: str = "default", host: str = "hooks.example.com", **spec: Any
) -> None:
    data = {"url": f"https://{host}/in", "routingKey": "r"}
    await m.service.resources.create(SECRET, SECRET.new(f"{name}-url", namespace=namespace, string_data=data))
    wanted = {"type": "webhook", "secretName": f"{name}-url", "scope": "Cloud", **spec}
    made = ALERT_CHANNEL.new(name, namespace=namespace, spec=AlertChannelSpec.model_validate(wanted))
    await m.service.resources.create(ALERT_CHANNEL, made)


async def rule(m: Metrics, name: str, expr: str, namespace: str = "default", **spec: Any) -> None:
    wanted = AlertRuleSpec.model_validate({"expr": expr, **spec})
    await m.service.resources.create(ALERT_RULE, ALERT_RULE.new(name, namespace=namespace, spec=wanted))


def told(m: Metrics) -> list[tuple[str, list[str]]]:
    """What was posted: status, and the names of the alerts."""
    posted = [orjson.loads(each.content) for each in m.outside.requests if each.method == "POST"]
    return [(each["status"], sorted(one["labels"]["alertname"] for one in each["alerts"])) for each in posted]


def body(request: httpx.Request) -> Any:
    return orjson.loads(request.content)


@virtual_time
async def test_a_silent_worker_is_told_within_15_seconds_once_and_its_return() -> None:
    async with metrics() as m:
        await channel(m)
        m.outside.pages[CLOUD] = ALIVE
        await m.advance(60)
        assert told(m) == []
        m.outside.pages[CLOUD] = DEAD
        await m.advance(15)
        assert told(m) == [("firing", ["worker-silent"])]
        await m.advance(600)
        assert told(m) == [("firing", ["worker-silent"])]
        m.outside.pages[CLOUD] = ALIVE
        await m.advance(15)
        assert told(m) == [("firing", ["worker-silent"]), ("resolved", ["worker-silent"])]
        await m.advance(2000)
        assert len(told(m)) == 2


@virtual_time
async def test_what_is_not_taken_is_told_again_until_it_is() -> None:
    async with metrics() as m:
        await channel(m)
        m.outside.status, m.outside.pages[CLOUD] = 503, DEAD
        await m.advance(40)
        assert (await m.service.resources.get(ALERT_CHANNEL, "ops", "default")).status.error == "it answered 503"
        m.outside.status = 200
        m.outside.requests.clear()
        await m.advance(90)
        assert told(m) == [("firing", ["worker-silent"])]
        assert (await m.service.resources.get(ALERT_CHANNEL, "ops", "default")).status.phase == "Active"


@pytest.mark.parametrize("address", ["a@b.c\nx", "a@[", "a b@c", "<a@b>", "a@b,c@d", "a", "a@b@c", "é@b"])
def test_what_is_no_address_of_mail_is_none(address: str) -> None:
    for spec in ({"to": [address], "sender": "a@b"}, {"to": ["a@b"], "sender": address}):
        with pytest.raises(ValidationError):
            MailTo.model_validate({**spec, "host": "h"})


@virtual_time
async def test_a_channel_that_breaks_is_told_of_it_and_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        raise UnboundLocalError

    monkeypatch.setattr(messages, "slack", broken)
    async with metrics() as m:
        await channel(m, "broken", type="slack")
        await channel(m)
        m.outside.pages[CLOUD] = DEAD
        await m.advance(15)
        assert told(m) == [("firing", ["worker-silent"])]
        m.outside.pages[CLOUD] = ALIVE
        await m.advance(15)
        assert told(m)[1:] == [("resolved", ["worker-silent"])]
        status = (await m.service.resources.get(ALERT_CHANNEL, "broken", "default")).status
        assert (status.phase, status.error) == ("Failing", "it cannot be told: UnboundLocalError")


@virtual_time
async def test_a_restart_tells_nothing_twice_and_forgets_no_end() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with metrics(Path(folder)) as m:
            await channel(m)
            m.outside.pages[CLOUD] = DEAD
            await m.advance(30)
            assert len(told(m)) == 1
            uid = (await m.service.resources.get(ALERT_CHANNEL, "ops", "default")).metadata.uid
            kept = m.service.resources
        async with metrics(Path(folder), kept) as m:
            assert (await m.service.resources.get(ALERT_CHANNEL, "ops", "default")).metadata.uid == uid
            m.outside.pages[CLOUD] = DEAD
            await m.advance(60)
            assert told(m) == []
            m.outside.pages[CLOUD] = ALIVE
            await m.advance(15)
            assert told(m) == [("resolved", ["worker-silent"])]


@virtual_time
async def test_a_silence_holds_as_long_as_it_says() -> None:
    async with metrics() as m:
        await channel(m)
        spec = {
            "matchers": [{"name": "worker", "value": "w.*", "isRegex": True}],
            "endsAt": m.service.context.clock.now() + timedelta(seconds=100),
            "scope": "Cloud",
        }
        made = ALERT_SILENCE.new("s", namespace="default", spec=AlertSilenceSpec.model_validate(spec))
        await m.service.resources.create(ALERT_SILENCE, made)
        m.outside.pages[CLOUD] = DEAD
        await m.advance(90)
        assert told(m) == []
        async with m.service.client() as client:
            shown = (await client.get("/api/v2/alerts")).json()
        assert [(each["labels"]["alertname"], each["status"]["state"]) for each in shown] == [
            ("worker-silent", "suppressed")
        ]
        await m.advance(30)
        assert told(m) == [("firing", ["worker-silent"])]
        assert (await m.service.resources.get(ALERT_SILENCE, "s", "default")).status.phase == "Expired"


@virtual_time
async def test_one_alarm_keeps_another_quiet_where_it_is_of_the_same() -> None:
    async with metrics() as m:
        await channel(m, groupBy=["worker", "alertname"])
        more: dict[str, Any] = {"scope": "Cloud", "inhibitedBy": ["worker-silent"], "inhibitLabels": ["worker"]}
        await rule(m, "hot", "heat > 1", **more)
        m.outside.pages[CLOUD] = DEAD + 'heat{worker="w1"} 2\nheat{worker="w2"} 2\n'
        await m.advance(60)
        assert sorted(told(m)) == [("firing", ["hot"]), ("firing", ["worker-silent"])]
        async with m.service.client() as client:
            shown = (await client.get("/api/v2/alerts")).json()
        states = {(each["labels"]["alertname"], each["labels"]["worker"]): each["status"]["state"] for each in shown}
        assert states == {("worker-silent", "w1"): "active", ("hot", "w1"): "suppressed", ("hot", "w2"): "active"}


@virtual_time
async def test_a_worker_that_is_silent_for_weeks_hides_nothing_else() -> None:
    async with metrics() as m:
        await channel(m)
        m.outside.pages[CLOUD] = DEAD + (
            'aerekos_service_replicas{service="s",namespace="n"} 2\n'
            'aerekos_service_ready_replicas{service="s",namespace="n"} 1\n'
        )
        await m.advance(180)
        assert told(m) == [("firing", ["worker-silent"]), ("firing", ["service-degraded"])]


@virtual_time
async def test_who_never_answers_keeps_nobody_waiting() -> None:
    async with metrics() as m:
        m.outside.silent = {"slow.example.com"}
        await channel(m, "slow", "team", "slow.example.com", scope="Namespace", groupBy=["n"])
        await channel(m, "beat", type="heartbeat", repeatSeconds=30)
        await channel(m)
        await rule(m, "many", "many > 0", "team")
        m.outside.pages["/metrics"] = "".join(f'many{{namespace="team",n="{i}"}} 1\n' for i in range(100))
        await m.advance(40)
        hosts = Counter(each.headers["host"] for each in m.outside.requests)
        assert hosts["slow.example.com"] <= 3 and hosts["hooks.example.com"] >= 2
        m.outside.requests.clear()
        m.outside.pages[CLOUD] = DEAD
        await m.advance(15)
        bodies = [orjson.loads(each.content) for each in m.outside.requests]
        assert "worker-silent" in {each.get("groupLabels", {}).get("alertname") for each in bodies}
        m.outside.silent.clear()
        m.outside.requests.clear()
        await m.advance(80)
        told_of = {each["groupLabels"].get("n") for each in map(body, m.outside.requests) if "groupLabels" in each}
        assert len(told_of - {None}) == 100


@virtual_time
async def test_no_heartbeat_says_that_rules_are_computed_where_they_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async with metrics() as m:
        await channel(m, "beat", type="heartbeat", repeatSeconds=30)
        await m.advance(60)
        assert m.outside.requests

        async def hangs(*_: object) -> None:
            await asyncio.sleep(86_400)

        monkeypatch.setattr(Queries, "run", hangs)
        await m.advance(75)
        m.outside.requests.clear()
        await m.advance(300)
        assert m.outside.requests == []


@virtual_time
async def test_whoever_was_told_hears_of_the_end_however_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert, "KEPT_RESOLVED", 20.0)
    async with metrics() as m:
        await channel(m)
        m.outside.pages[CLOUD] = DEAD
        await m.advance(15)
        assert told(m) == [("firing", ["worker-silent"])]
        m.outside.requests.clear()
        m.outside.status, m.outside.pages[CLOUD] = 503, ALIVE
        await m.advance(100)
        m.outside.requests.clear()
        m.outside.status = 200
        await m.advance(170)
        assert told(m) == [("resolved", ["worker-silent"])]


@virtual_time
async def test_what_was_silenced_after_it_was_told_still_ends() -> None:
    async with metrics() as m:
        await channel(m)
        m.outside.pages[CLOUD] = DEAD
        await m.advance(15)
        ends = m.service.context.clock.now() + timedelta(hours=1)
        spec = {"matchers": [{"name": "worker", "value": "w1"}], "endsAt": ends, "scope": "Cloud"}
        made = ALERT_SILENCE.new("s", namespace="default", spec=AlertSilenceSpec.model_validate(spec))
        await m.service.resources.create(ALERT_SILENCE, made)
        await m.advance(60)
        m.outside.pages[CLOUD] = ALIVE
        await m.advance(15)
        assert told(m) == [("firing", ["worker-silent"]), ("resolved", ["worker-silent"])]


@virtual_time
async def test_rules_of_a_namespace_wait_in_turns_and_those_of_the_platform_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluating, "SECONDS_OF_NAMESPACE", 1e-9)
    async with metrics() as m:
        await channel(m)
        for name in ("a", "b", "c"):
            await rule(m, name, "vector(1)", "team")
        m.outside.pages[CLOUD] = DEAD
        await m.advance(15)
        firing = {each["labels"]["alertname"] for each in (await m.ask("alerts"))["alerts"]}
        assert "worker-silent" in firing and len(firing & {"a", "b", "c"}) < 3
        await m.advance(40)
        firing = {each["labels"]["alertname"] for each in (await m.ask("alerts"))["alerts"]}
        assert firing == {"worker-silent", "a", "b", "c"}


@virtual_time
async def test_rules_channels_and_alerts_of_a_namespace_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluating, "MOST_RULES", 2)
    monkeypatch.setattr(evaluating, "MOST_OF_NAMESPACE", 3)
    monkeypatch.setattr(notifying, "MOST_CHANNELS", 1)
    async with metrics() as m:
        for name in ("a", "b"):
            await channel(m, name, "team", scope="Namespace")
        m.outside.pages["/metrics"] = 'x{namespace="team",n="1"} 1\nx{namespace="team",n="2"} 1\n'
        for name in ("a", "b", "c"):
            await rule(m, name, "x", "team")
            await m.advance(1)
        await m.advance(30)
        errors = [(await m.service.resources.get(ALERT_RULE, name, "team")).status.error for name in "abc"]
        assert errors[0] == "" and "room for 1" in errors[1] and "more than 2 rules" in errors[2]
        status = (await m.service.resources.get(ALERT_CHANNEL, "b", "team")).status
        assert status.phase == "Failing" and "channels; this one is not told" in status.error
        assert (await m.service.resources.get(ALERT_CHANNEL, "a", "team")).status.phase == "Active"


def test_so_many_silences_of_a_namespace_hold_and_the_oldest_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(muting, "MOST_SILENCES", 1)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    spec = AlertSilenceSpec.model_validate(
        {"matchers": [{"name": "n", "value": "1"}], "endsAt": "2027-01-01T00:00:00Z"}
    )
    made = [
        ALERT_SILENCE.new(name, namespace=where, spec=spec) for name, where in (("b", "x"), ("a", "x"), ("c", "y"))
    ]
    for i, each in enumerate(made):
        each.metadata.creation_timestamp = now + timedelta(seconds=i)
    silences = Silences(made, now)
    labels = (("n", "1"), ("namespace", "x"))
    assert silences.reach(Alert("r", labels, "firing", 0.0, 0.0, 1.0)) == ["x/b"]


def test_a_text_is_not_longer_than_it_may_be() -> None:
    assert filled("{{ $labels.x }}" * 100, (("x", "y" * 2_000),), 1.0) == "y" * 2_048


@pytest.mark.parametrize("words", [b"220 x\r\n", b"220-x\r\n" * 40_000], ids=["slow", "endless"])
def test_a_mail_server_that_drags_on_is_left(words: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "MAIL_SECONDS", 0.5)
    monkeypatch.setattr(sending, "SECONDS", 60.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()

        def serve() -> None:
            line, _ = server.accept()
            with line, suppress(OSError):
                line.sendall(words)
                while line.recv(1_024):
                    pass

        thread = Thread(target=serve)
        thread.start()
        to = MailTo.model_validate({"to": ["a@b"], "sender": "a@b", "host": host, "port": port})
        with pytest.raises(smtplib.SMTPException):
            deliver(to, host, EmailMessage(), "")
        thread.join(30)
        assert not thread.is_alive()


@virtual_time
async def test_a_rule_waits_and_its_record_says_so() -> None:
    async with metrics() as m:
        await channel(m)
        await rule(m, "hot", "heat > 3", scope="Cloud", forSeconds=60, summary="{{ $labels.room }} has {{ $value }}")
        m.outside.pages["/metrics"] = 'heat{room="attic"} 5\n'
        await m.advance(40)
        status = (await m.service.resources.get(ALERT_RULE, "hot", "default")).status
        assert (status.phase, status.pending, told(m)) == ("Pending", 1, [])
        await m.advance(60)
        assert (await m.service.resources.get(ALERT_RULE, "hot", "default")).status.phase == "Firing"
        alert = orjson.loads(m.outside.requests[-1].content)["alerts"][0]
        assert alert["annotations"]["summary"] == "attic has 5"
        groups = (await m.ask("rules"))["groups"]
        assert {each["name"] for each in groups} == {"platform"}


@virtual_time
async def test_a_rule_that_cannot_be_computed_says_why_and_stops_no_other() -> None:
    async with metrics() as m:
        await channel(m)
        await rule(m, "odd", "histogram_count(x)")
        m.outside.pages[CLOUD] = DEAD
        await m.advance(30)
        status = (await m.service.resources.get(ALERT_RULE, "odd", "default")).status
        assert status.phase == "Error" and "histogram_count" in status.error
        assert told(m) == [("firing", ["worker-silent"])]


@virtual_time
async def test_a_record_takes_the_place_of_a_rule_of_the_platform() -> None:
    async with metrics() as m:
        await channel(m)
        await rule(m, "worker-silent", "vector(0) > 1", scope="Cloud")
        m.outside.pages[CLOUD] = DEAD
        await m.advance(60)
        assert told(m) == []


@virtual_time
async def test_a_tenant_is_alarmed_by_and_told_of_what_is_theirs() -> None:
    async with metrics() as m:
        await channel(m, "theirs", "team", scope="Namespace")
        await rule(m, "busy", "load > 1", "team")
        m.outside.pages["/metrics"] = 'load{namespace="team"} 2\nload{namespace="other"} 2\n'
        m.outside.pages[CLOUD] = DEAD
        await m.advance(40)
        assert told(m) == [("firing", ["busy"])]
        assert len(orjson.loads(m.outside.requests[-1].content)["alerts"]) == 1
        m.service.conductor.judge = lambda user, wanted: wanted["namespace"] == "team"
        eve = User("eve", namespace="team")
        assert [each["labels"]["alertname"] for each in (await m.ask("alerts", eve))["alerts"]] == ["busy"]
        assert [each["name"] for each in (await m.ask("rules", eve))["groups"]] == ["team"]


@virtual_time
async def test_the_dead_mans_switch_beats_and_a_channel_can_be_tried() -> None:
    async with metrics() as m:
        await channel(m, "beat", type="heartbeat", repeatSeconds=30)
        await channel(m, "pager", type="pagerduty")
        await m.advance(125)
        assert 4 <= len(m.outside.requests) <= 5
        async with m.service.client() as client:
            answer = await client.post("/channels/default/pager/test")
            assert answer.json() == {"told": True}
            posted = orjson.loads(m.outside.requests[-1].content)
            assert (posted["event_action"], posted["routing_key"]) == ("trigger", "r")
            m.outside.status = 410
            answer = await client.post("/channels/default/pager/test")
            assert answer.status_code == 400 and "it answered 410" in answer.json()["message"]


@virtual_time
async def test_neither_channels_nor_targets_reach_what_only_this_machine_does() -> None:
    async with metrics() as m:
        m.outside.address = "127.0.0.1"
        await channel(m)
        spec = ScrapeTargetSpec.model_validate({"target": {"url": "https://inside.example.com/"}})
        await m.service.resources.create(SCRAPE_TARGET, SCRAPE_TARGET.new("in", namespace="default", spec=spec))
        m.outside.pages[CLOUD] = DEAD
        await m.advance(40)
        assert m.outside.requests == []
        words = "its address is not one that may be called from here"
        assert (await m.service.resources.get(ALERT_CHANNEL, "ops", "default")).status.error == words
        assert (await m.service.resources.get(SCRAPE_TARGET, "in", "default")).status.error == words


RULE = Rule("r", "r", None, "x", for_seconds=20, keep_firing=15)
LABELS = (("alertname", "r"), ("severity", "warning"))


@settings(max_examples=60)
@given(st.lists(st.booleans(), max_size=30))
def test_an_alert_fires_only_after_its_time_and_ends_after_its_own(seen: list[bool]) -> None:
    before: dict[str, Alert] = {}
    for step, there in enumerate(seen):
        after = advanced(RULE, [((), 1.0)] if there else [], before, step * 10.0)
        assert all(each == alert_of(orjson.loads(orjson.dumps(each.wire()))) for each in after)
        for each in after:
            known = before.get(each.id)
            if each.state == "firing" and (known is None or known.state != "firing"):
                assert seen[step - 2 : step + 1] == [True] * 3
            if each.state == "resolved" and known is not None and known.state == "firing":
                assert seen[step - 1 : step + 1] == [False] * 2
        before = {each.id: each for each in after}
