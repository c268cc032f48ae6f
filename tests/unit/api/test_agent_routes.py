"""/agents: a worker tells of itself, and of nobody else."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from unit.api.components import ADMIN, HOW, House

from api.auth.principal import AUTHENTICATED, WORKERS, Principal
from controller.kit.leases import LEASE_SECONDS
from crds.kinds.worker import WORKER

pytestmark = pytest.mark.anyio
OAK = Principal("system:worker:oak", frozenset({WORKERS, AUTHENTICATED}))
FACTS = {"capacity": {"cpu": "2", "memory": "4Gi", "disk": "10Gi"}, "addresses": [], "labels": {"zone": "a"}}
BEAT = {"usage": {"cpu": 0.5, "memory": 10, "disk": 20}, "addresses": ["10.0.0.1"], "services": {"kms-0": {"cpu": 1}}}


async def post(house: House, path: str, body: Any, who: Principal = OAK) -> httpx.Response:
    async with house.client(house.bearer(who)) as client:
        return await client.post(path, json=body)


@pytest.fixture
async def oak(house: House) -> House:
    await house.registry.create(WORKER, "", {"metadata": {"name": "oak"}}, HOW)
    return house


async def test_facts_become_the_worker_s_status(oak: House) -> None:
    answer = await post(oak, "/agents/register", FACTS)
    assert answer.status_code == 200
    worker = oak.registry.get(WORKER, WORKER.key("oak")).object
    assert worker["metadata"]["labels"] == {"zone": "a"}
    assert (worker["status"]["capacity"]["memory"], bool(worker["status"]["lastRegisteredAt"])) == ("4Gi", True)


async def test_heartbeats_write_nothing(oak: House) -> None:
    await post(oak, "/agents/register", FACTS)
    before = oak.store.revision
    for _ in range(3):
        answer = (await post(oak, "/agents/heartbeat", BEAT)).json()
        assert answer == {"leaseSeconds": LEASE_SECONDS, "registered": True}
    assert oak.store.revision == before
    lease = oak.leases.get("oak")
    assert lease is not None
    assert (lease.usage.cpu, list(lease.addresses)) == (0.5, ["10.0.0.1"])


async def test_who_never_registered_is_told_so(oak: House) -> None:
    assert (await post(oak, "/agents/heartbeat", BEAT)).json()["registered"] is False


async def test_the_end_of_a_silence_is_heard_once(oak: House) -> None:
    for _ in range(3):
        await post(oak, "/agents/heartbeat", BEAT)
    assert oak.heard == ["oak"]
    oak.clock.forward(LEASE_SECONDS + 1)
    await post(oak, "/agents/heartbeat", BEAT)
    assert oak.heard == ["oak", "oak"]


async def test_another_address_is_looked_at_at_once(oak: House) -> None:
    for address in ("10.0.0.1", "10.0.0.1", "10.0.0.9", "10.0.0.9"):
        await post(oak, "/agents/heartbeat", {**BEAT, "addresses": [address]})
    assert oak.heard == ["oak", "oak"]


async def test_a_deleted_worker_is_sent_away_and_leaves_no_lease(oak: House) -> None:
    await oak.registry.delete(WORKER, WORKER.key("oak"), HOW)
    for path, body in (("/agents/register", FACTS), ("/agents/heartbeat", BEAT)):
        assert (await post(oak, path, body)).status_code == 401
    assert oak.leases.get("oak") is None
    assert oak.store.get(WORKER.key("oak")) is None


async def test_only_workers_report_and_only_readers_look(oak: House) -> None:
    await post(oak, "/agents/heartbeat", BEAT)
    for path, body in (("/agents/register", FACTS), ("/agents/heartbeat", BEAT)):
        assert (await post(oak, path, body, ADMIN)).status_code == 403
    async with oak.client(oak.bearer(ADMIN)) as client:
        (lease,) = (await client.get("/agents/leases")).json()["leases"]
    assert (lease["worker"], lease["usage"]["memory"]) == ("oak", 10)
    async with oak.client(await oak.robot()) as client:
        assert (await client.get("/agents/leases")).status_code == 403
    async with oak.client() as client:
        assert (await client.get("/agents/leases")).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {"usage": {"cpu": "much"}},
        {"usage": {"cpu": 1, "surprise": 2}},
        {"addresses": ["x"] * 65},
        {"services": {"a": 1}},
        7,
    ],
)
async def test_a_beat_that_makes_no_sense_is_invalid(oak: House, body: Any) -> None:
    answer = await post(oak, "/agents/heartbeat", body)
    assert (answer.status_code, answer.json()["reason"]) == (422, "Invalid")


async def test_facts_that_make_no_sense_change_nothing(oak: House) -> None:
    before = oak.store.revision
    for capacity in ({"cpu": "lots"}, {"cpu": -1}):
        answer = await post(oak, "/agents/register", {**FACTS, "labels": {}, "capacity": capacity})
        assert answer.status_code == 422, answer.text
    assert oak.store.revision == before
