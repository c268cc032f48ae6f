"""Who asks whom: counted at the gateway, told to those who may see services."""

from __future__ import annotations

import orjson
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from unit.api.components import ADMIN, House

import api.traffic_routes
from api.auth.principal import AUTHENTICATED, SERVICES, Principal
from api.gateway_metrics import GatewayCounts
from api.traffic import Traffic

pytestmark = pytest.mark.anyio
BY_SERVICE = Principal("system:service:storage-manager", frozenset({SERVICES, AUTHENTICATED}))


def test_only_pairs_that_moved_are_told_again() -> None:
    traffic, seen = Traffic(), {}
    traffic.note("", "kms", 200, 0.25)
    traffic.note("", "kms", 503, 0.25)
    traffic.note("s3", "kms", 404, 0.5)
    assert traffic.told(seen) == [
        {"from": "", "to": "kms", "requests": 2, "errors": 1, "seconds": 0.5, "ejected": []},
        {"from": "s3", "to": "kms", "requests": 1, "errors": 0, "seconds": 0.5, "ejected": []},
    ]
    assert traffic.told(seen) == []
    traffic.note("", "kms", 200, 0.0)
    assert [each["requests"] for each in traffic.told(seen)] == [3]


def test_an_ejected_instance_is_told_until_it_is_back() -> None:
    now = [10.0]
    counts = GatewayCounts(lambda: now[0])
    traffic, seen = Traffic(counts.ejected), {}
    traffic.note("", "kms", 200, 0.25)
    traffic.told(seen)
    counts.note("ejected", "kms", "kms-1", 2.0)
    assert [each["ejected"] for each in traffic.told(seen)] == [["kms-1"]]
    assert traffic.told(seen) == []
    now[0] += 2.0
    assert [each["ejected"] for each in traffic.told(seen)] == [[]]


def test_what_gateways_did_can_be_scraped() -> None:
    now = [10.0]
    counts, registry = GatewayCounts(lambda: now[0]), CollectorRegistry()
    registry.register(counts)
    counts.note("ejected", "kms", "kms-0", 2.0)
    counts.note("ejected", "kms", "kms-0", 4.0)
    counts.note("limited", "address")
    now[0] += 3.0
    text = generate_latest(registry).decode()
    assert 'aerekos_gateway_ejections_total{service="kms"} 2.0' in text
    assert 'aerekos_gateway_ejected_instances{service="kms"} 1.0' in text
    assert 'aerekos_gateway_limited_requests_total{limit="address"} 1.0' in text
    with pytest.raises(ValueError, match="no event"):
        counts.note("forgotten", "kms")


async def test_a_pair_that_comes_later_begins_at_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.traffic_routes, "PERIOD", 0)
    traffic, told = Traffic(), []
    traffic.note("", "kms", 200, 0.5)
    moving = api.traffic_routes._moving(traffic)
    told += (await anext(moving)).splitlines()
    traffic.note("", "s3", 200, 0.5)
    told += [await anext(moving), await anext(moving)]
    seen = [orjson.loads(line) for line in told]
    assert [(each["type"], each["object"]["to"], each["object"]["requests"]) for each in seen] == [
        ("ADDED", "kms", 1), ("ADDED", "s3", 0), ("MODIFIED", "s3", 1)
    ]  # fmt: skip


async def test_a_request_nobody_can_take_is_an_error_and_names_nobody_knows_are_not_kept(house: House) -> None:
    await house.add_service("kms")
    async with house.client(house.bearer(ADMIN)) as client:
        assert (await client.get("/services/kms/x")).status_code == 503
        assert (await client.get("/services/nobody/x")).status_code == 404
    async with house.client(house.bearer(BY_SERVICE)) as client:  # it reaches what its manifest needs alone
        assert (await client.get("/services/kms/x")).status_code == 403
        assert (await client.get("/services/nobody/x")).status_code == 403
    async with house.client(house.bearer(ADMIN)) as client:
        told = (await client.get("/traffic")).json()["traffic"]
    assert [(each["from"], each["to"], each["requests"], each["errors"]) for each in told] == [
        ("", "kms", 1, 1),
    ]


async def test_without_a_name_nothing_is_told(house: House) -> None:
    async with house.client() as client:
        assert (await client.get("/traffic")).status_code == 401
