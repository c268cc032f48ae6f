"""What an agent tells of its machine: the real one here, and one whose operating system refuses to answer."""

from __future__ import annotations

import json
import math
import os
import random
import socket
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import anyio
import httpx
import psutil
import pytest

from agent import collect
from agent.collect import Collector, addresses, default_name
from agent.errors import CannotMeasure
from agent.heartbeat import Agent
from agent.identity import Identity, IdentityInMemory
from agent.settings import Settings
from controller.kit.clock import LoopClock
from crds.kinds.worker import WORKER

FAULTS = (OSError("gone"), PermissionError("no"), psutil.AccessDenied(1), psutil.NoSuchProcess(1))
ASKED = (
    "cpu_percent",
    "cpu_count",
    "virtual_memory",
    "disk_usage",
    "net_io_counters",
    "net_if_addrs",
    "net_if_stats",
)


def broken(monkeypatch: pytest.MonkeyPatch, *names: str, fault: Exception = FAULTS[0]) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise fault

    for name in names:
        monkeypatch.setattr(psutil, name, refuse)


def test_facts_are_what_a_worker_may_say(tmp_path: Path) -> None:
    facts = Collector(tmp_path).facts({"zone": "a"})
    status = {name: facts[name] for name in ("capacity", "addresses", "system")}
    worker = WORKER.parse(
        {"apiVersion": "aerekos.cloud/v1", "kind": "Worker", "metadata": {"name": "x"}, "status": status}
    )
    assert int(facts["capacity"]["cpu"]) == psutil.cpu_count()
    assert int(facts["capacity"]["memory"]) == psutil.virtual_memory().total
    assert worker.status.system.operating_system == "linux"
    assert {"type": "Hostname", "address": socket.gethostname()} in facts["addresses"]
    assert facts["labels"] == {"zone": "a"}


def test_a_beat_is_json_with_numbers_that_make_sense(tmp_path: Path) -> None:
    collector = Collector(tmp_path)
    usage = json.loads(json.dumps(collector.beat().wire()))["usage"]
    assert set(usage) == {"cpu", "memory", "disk", "networkReceived", "networkSent"}
    assert all(math.isfinite(value) and value >= 0 for value in usage.values())
    assert usage["cpu"] <= (psutil.cpu_count() or 1)
    assert 0 < usage["memory"] < psutil.virtual_memory().total


def test_addresses_are_useful_to_others_and_stable() -> None:
    found = addresses()
    assert found == addresses()
    assert not [each for each in found if ip_address(each).is_loopback or ip_address(each).is_link_local]


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
@pytest.mark.parametrize("name", ASKED)
def test_a_beat_comes_whatever_the_system_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fault: Exception
) -> None:
    collector = Collector(tmp_path, tmp_path)
    before = collector.beat()
    broken(monkeypatch, name, fault=fault)
    for _ in range(collect.ADDRESSES_EVERY_BEATS):
        beat = collector.beat()
    if name.startswith("net_if"):  # other tests on this machine make networks of their own
        assert beat.addresses == before.addresses
    assert all(math.isfinite(value) for value in beat.usage.values())


def test_what_cannot_be_read_keeps_its_last_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collector = Collector(tmp_path)
    before = collector.beat()
    broken(monkeypatch, "disk_usage", "net_io_counters")
    after = collector.beat()
    assert after.usage["disk"] == before.usage["disk"] > 0
    assert after.usage["networkSent"] == before.usage["networkSent"]


def test_an_agent_starts_on_a_machine_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, *ASKED)
    collector = Collector(tmp_path)
    assert (collector.beat().addresses, set(collector.beat().usage.values())) == ([], {0.0})
    with pytest.raises(CannotMeasure):
        collector.facts({})


def test_a_name_is_a_dns_label(monkeypatch: pytest.MonkeyPatch) -> None:
    for host, name in (
        ("Oak_1.example.org", "oak-1"),
        ("x" * 80, "x" * 63),
        ("-a-", "a"),
        ("", f"worker-{os.getpid()}"),
    ):
        monkeypatch.setattr(socket, "gethostname", lambda host=host: host)
        assert default_name() == name


@pytest.mark.anyio
async def test_a_refusing_system_does_not_end_the_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot register while nothing can be measured; once it can, it does, and beats all the same."""
    calls: list[str] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path)
        if request.url.path == "/auth/token":
            return httpx.Response(200, json={"accessToken": "t", "expiresIn": 600})
        return httpx.Response(200, json={"leaseSeconds": 3.5, "registered": True})

    agent = Agent(
        Settings("oak", tmp_path, ("https://a",)),
        LoopClock(),
        lambda _: httpx.AsyncClient(transport=httpx.MockTransport(answer)),
        identity=IdentityInMemory(Identity("oak", "worker:oak", "secret")),
        rng=random.Random(1),
    )
    async with anyio.create_task_group() as group:
        with monkeypatch.context() as refusing:
            broken(refusing, *ASKED)
            group.start_soon(agent.run)
            await anyio.sleep(20)
            assert "/agents/heartbeat" not in calls
        await anyio.sleep(20)
        assert "/agents/register" in calls
        before = len(calls)
        broken(monkeypatch, *ASKED)
        await anyio.sleep(10)
        assert len(calls) - before == 10
        group.cancel_scope.cancel()
