"""Kubernetes Events that go out: those that are wanted, each once, also over a restart."""

from __future__ import annotations

from pathlib import Path

import orjson

from crds.kinds.event import EVENT, Event, ObjectReference
from services.sdk.testing import virtual_time
from services.webhook_manager.kinds import WEBHOOK_ENDPOINT
from services.webhook_manager.tests.in_memory import Webhooks, webhooks_of


async def happen(
    webhooks: Webhooks,
    name: str,
    reason: str,
    type: str = "Warning",
    kind: str = "Service",
    namespace: str = "default",
) -> None:
    about = ObjectReference(kind=kind, name="web", namespace=namespace, uid=f"uid-{name}")
    made: Event = EVENT.new(name, namespace=namespace, involved_object=about, reason=reason, type=type, message="m")
    made.last_timestamp = webhooks.now()
    await webhooks.service.resources.create(EVENT, made)
    await webhooks.advance(5)


def reasons(webhooks: Webhooks) -> list[str]:
    return [orjson.loads(each.content)["data"]["reason"] for each in webhooks.outside.requests]


@virtual_time
async def test_those_that_are_wanted_of_its_namespace_go_out(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await happen(webhooks, "before", "TooEarly")
        await webhooks.endpoint(events={"types": ["Warning"], "kinds": ["Service"]})
        await webhooks.advance(5)
        await happen(webhooks, "a", "Crashed")
        await happen(webhooks, "b", "Started", type="Normal")
        await happen(webhooks, "c", "Failed", kind="Worker")
        await happen(webhooks, "d", "Failed", namespace="other")
        assert reasons(webhooks) == ["Crashed"]
        told = orjson.loads(webhooks.outside.requests[0].content)
        assert told["type"] == "aerekos.event.Crashed"
        assert told["data"]["involvedObject"]["name"] == "web"
        await webhooks.service.resources.patch(EVENT, "a", {"count": 2}, "default")
        await webhooks.advance(5)
        assert reasons(webhooks) == ["Crashed", "Crashed"], "the same again is news"
        assert len(set(webhooks.outside.ids)) == 2


@virtual_time
async def test_what_happens_during_a_restart_goes_out_once(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        await webhooks.endpoint(events={}, format="CloudEventsStructured")
        await webhooks.advance(5)
        await happen(webhooks, "a", "First")
    await happen(webhooks, "b", "Second")
    async with webhooks_of(tmp_path, webhooks) as again:
        await again.advance(10)
        await happen(again, "c", "Third")
        assert reasons(again) == ["First", "Second", "Third"]


@virtual_time
async def test_an_endpoint_hears_nothing_of_itself_and_nobody_else_is_followed(tmp_path: Path) -> None:
    async with webhooks_of(tmp_path) as webhooks:
        made = await webhooks.endpoint(events={})
        await webhooks.advance(5)
        about = ObjectReference(kind=WEBHOOK_ENDPOINT.name, name="e", namespace="default", uid=made.metadata.uid)
        await webhooks.service.resources.create(
            EVENT, EVENT.new("own", namespace="default", involved_object=about, reason="EndpointDisabled")
        )
        await webhooks.advance(5)
        assert webhooks.outside.requests == []
        await webhooks.change(events=None)
        await happen(webhooks, "a", "Unseen")
        await webhooks.change(events={})
        await webhooks.advance(5)
        await happen(webhooks, "b", "Seen")
        assert reasons(webhooks) == ["Seen"]
