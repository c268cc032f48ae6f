"""What the entry point traces, and what its spans do not hold."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from collector import Collector
from unit.api.components import ADMIN, House

from api.agents.heartbeats import PATH as HEARTBEAT
from controller.kit import tracing

pytestmark = pytest.mark.anyio
GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector().running() as running:
        tracing.start(running.url, "test")
        yield running
        tracing.stop(0)


async def test_a_request_is_a_span_named_by_its_handler_below_the_clients(house: House, collector: Collector) -> None:
    headers = {**house.bearer(ADMIN), "traceparent": GIVEN, "x-request-id": "mine"}
    async with house.client(headers) as client:
        await client.get("/api/v1/namespaces/default?token=hunter2")
        await client.get("/services/nobody/x")
    tracing.stop(10)
    read, missed = (each for each in collector.spans if each.parent == GIVEN[36:52])
    assert read.trace == GIVEN[3:35]
    assert (read.name, read.failed) == ("GET resources", False)
    assert read.attributes == {
        "http.request.method": "GET",
        "url.path": "/api/v1/namespaces/default",
        "http.response.status_code": 200,
        "aerekos.handler": "resources",
        "aerekos.request_id": "mine",
    }
    assert (missed.name, missed.attributes["http.response.status_code"]) == ("GET gateway", 404)
    assert "hunter2" not in repr(collector.spans)


async def test_a_write_and_its_commit_are_one_trace(house: House, collector: Collector) -> None:
    async with house.client(house.bearer(ADMIN)) as client:
        made = await client.post("/api/v1/namespaces", json={"metadata": {"name": "traced"}})
        assert made.status_code == 201
    tracing.stop(10)
    commit, request = collector.spans
    assert (commit.name, request.name) == ("store batch", "POST resources")
    assert (commit.parent, commit.trace, request.parent) == (request.id, request.trace, "")


async def test_probes_scrapes_heartbeats_and_watches_are_not_traced(house: House, collector: Collector) -> None:
    async with house.client(house.bearer(ADMIN)) as client:
        for path in ("/health", "/ready", "/readyz", "/metrics", HEARTBEAT):
            await client.get(path)
        await client.get("/api/v1/namespaces?watch=true&resourceVersion=99999")
    tracing.stop(10)
    assert collector.spans == []
