"""What must hold while machines come and go, updates stop halfway, and conductors change."""

from __future__ import annotations

import os
import signal
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from docker.types import EndpointSpec, Mount
from swarm.houses import KEY, all_ready, running, workload
from swarm.node import until
from swarm.slots import pids_in

from controller.runtime.driver import RolloutPolicy, Volume, Workload
from controller.runtime.swarm import naming, service_controller, stuck_tasks
from crds.probes import Probes

pytestmark = [pytest.mark.anyio, pytest.mark.product]
GENTLY = RolloutPolicy(order="start-first", monitor_seconds=2)


def tasks(swarm, revision: str = "") -> dict[str, str]:
    """Task → machine, of what is wanted; or of whatever there is of a revision."""
    api = swarm.client().api
    names = {each["ID"]: each["Description"]["Hostname"] for each in api.nodes()}
    found = api.tasks({"service": "aerekos_default_web"})
    labels = {each["ID"]: each["Spec"]["ContainerSpec"].get("Labels") or {} for each in found}
    return {
        each["ID"]: names.get(each.get("NodeID", ""), "")
        for each in found
        if (labels[each["ID"]].get(naming.REVISION) == revision if revision else each["DesiredState"] == "running")
    }


@asynccontextmanager
async def away(swarm, node):
    """Without power, as the Swarm knows; it is back afterwards, at the latest."""
    node.power_loss()
    until(lambda: node.name not in swarm.ready_nodes(), "the loss is noticed")
    try:
        yield
    finally:
        if node.process is None:
            node.start()
        until(lambda: node.name in swarm.ready_nodes(), "it is back")


async def test_what_was_rolled_back_is_not_tried_again_by_anybody(swarm, busybox):
    async with running(swarm.manager.url, leave=True) as house:
        await house.until(workload(busybox, replicas=2, update=GENTLY), all_ready(2))
        broken = workload(busybox, "two", replicas=2, update=GENTLY, command=("sh", "-c", "exit 3"))
        await house.refused(broken, "RolledBack")
        tried = tasks(swarm, "two")
    async with running(swarm.manager.url) as house:
        await house.refused(replace(broken, replicas=3), "RolledBack")
        await house.seen(all_ready(3))
        await anyio.sleep(3)
        assert "non-zero exit (3)" in await house.refused(replace(broken, replicas=3), "RolledBack")
        assert tasks(swarm, "two").keys() <= tried.keys()
        # The way back, and then the same again: somebody may have mended what it needs.
        await house.until(workload(busybox, replicas=3, update=GENTLY), all_ready(3))
        mended = replace(workload(busybox, "two", replicas=3), update=GENTLY)
        await house.until(mended, all_ready(3, "two"))


async def test_a_machine_that_stays_away_keeps_nobody_busy(swarm, busybox):
    async with running(swarm.manager.url) as house:
        wanted = workload(busybox, replicas=3)
        await house.until(wanted, all_ready(3))
        async with away(swarm, swarm.nodes[2]):
            await house.until(wanted, all_ready(3))
            version = swarm.client().api.inspect_service("aerekos_default_web")["Version"]
            await anyio.sleep(6)  # what has just ended is still followed
            house.docker.calls.clear()
            await anyio.sleep(4)
            assert house.docker.calls.total() <= 3, house.docker.calls
            assert swarm.client().api.inspect_service("aerekos_default_web")["Version"] == version
            await house.gone()


async def test_a_lonely_copy_moves_to_a_machine_with_nothing_and_the_next_conductor_ends_the_move(swarm, busybox):
    names = [f"lone-{number}" for number in range(4)]
    keys = tuple(KEY._replace(name=name) for name in names)
    lones = [replace(workload(busybox, update=GENTLY), key=key, uid=key.name) for key in keys]
    async with running(swarm.manager.url, leave=True) as house:
        async with away(swarm, swarm.nodes[2]):
            for each in lones:
                await house.until(each, all_ready(1))
        with anyio.fail_after(40):
            while not marked(swarm, names):  # noqa: ASYNC110 it is asked of Docker
                await anyio.sleep(0.05)
    async with running(swarm.manager.url, keys=keys) as house:
        fewest = 4
        with anyio.fail_after(60):
            while True:
                seen = [one for each in lones for one in await applied(house, each)]
                fewest = min(fewest, sum(one.ready for one in seen))
                if "node-3" in {one.worker for one in seen} and not marked(swarm, names):
                    break
                await anyio.sleep(0.2)
        await house.told_of("Rebalanced")  # right after the mark is gone
        assert fewest == 4


def marked(swarm, names: list[str]) -> bool:
    """Whether a move is written on any of these."""
    services = {each["Spec"]["Name"]: each for each in swarm.client().api.services()}
    return any(naming.MOVING in services[f"aerekos_default_{name}"]["Spec"]["Labels"] for name in names)


async def applied(house, wanted: Workload):
    await house.driver.apply(wanted)
    return await house.driver.observe(wanted.key)


async def test_an_update_that_stopped_because_of_a_machine_goes_on_by_itself(swarm, busybox):
    here = {"update": RolloutPolicy(on_failure="pause", monitor_seconds=20), "workers": ("node-2", "node-3")}
    witness = KEY._replace(name="witness")  # that ends with its machine, too
    async with running(swarm.manager.url, keys=(KEY, witness)) as house:
        await house.driver.apply(replace(workload(busybox, mode="daemon"), key=witness, uid="witness"))
        await house.until(workload(busybox, replicas=3, **here), all_ready(3))
        second = workload(busybox, "two", replicas=3, **here)
        seen = await house.until(second, lambda seen: any(one.ready and one.revision == "two" for one in seen))
        place = next(one.worker for one in seen if one.ready and one.revision == "two")
        node = next(each for each in swarm.nodes if each.name == place)
        node.restart()  # back before the Swarm missed it, it tells that its copies have failed
        states = set()

        def done(seen):
            service = swarm.client().api.inspect_service("aerekos_default_web")
            states.add(service.get("UpdateStatus", {}).get("State"))  # none just after an update was asked for
            return all_ready(3, "two")(seen)

        await house.until(second, done)
        # On a busy machine it is missed first: then its copies are no failures, and nothing stops.
        assert "UpdateResumed" in house.reasons or "paused" not in states


async def test_somebody_elses_service_is_adopted_as_it_runs_and_updated_later(swarm, busybox):
    api = swarm.client()
    script = ["sh", "-c", "echo old >> /data/log; exec sleep 1000"]
    mount = Mount("/data", "shop-data", type="volume")
    shop = api.services.create(busybox, script, name="shop", mounts=[mount], endpoint_spec=EndpointSpec(mode="dnsrr"))
    until(lambda: [each["Status"]["State"] for each in shop.tasks()] == ["running"], "the shop is open")
    (before,) = [each["ID"] for each in shop.tasks()]
    plain = workload(busybox, volumes=(Volume("shop-data", "/data"),))
    async with running(swarm.manager.url) as house:
        await house.driver.adopt("shop", KEY)
        (one,) = await house.until(plain, all_ready(1))
        assert [each["ID"] for each in shop.tasks()] == [before]
        await house.until(replace(plain, replicas=2), all_ready(2))
        assert before in {each["ID"] for each in shop.tasks({"desired-state": "running"})}
        reads = ("sh", "-c", "cat /data/log > /www/index.html; exec httpd -f -p $PORT -h /www")
        after = replace(plain, revision="two", command=reads, workers=(one.worker,))
        await house.until(after, all_ready(1, "two"))
        node = next(each for each in swarm.nodes if each.name == one.worker)
        container = node.docker("ps", "-q", "--filter", "label=aerekos.cloud/name=web").split()[0]
        assert node.docker("exec", container, "cat", "/www/index.html").startswith("old")
        assert api.api.services({"name": "shop"})[0]["Spec"]["Name"] == "shop"
    assert api.api.services() == []


@contextmanager
def containerd_stopped(node):
    pids = [pid for pid in pids_in(node.namespace) if Path(f"/proc/{pid}/comm").read_text().strip() == "containerd"]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def test_a_task_that_hangs_is_made_anew(swarm, busybox, monkeypatch):
    """Its machine answers, but its containerd does not: nothing starts there, and nothing fails."""
    monkeypatch.setattr(
        stuck_tasks, "LIMITS", {**stuck_tasks.LIMITS, "preparing": 3.0, "ready": 3.0, "starting": 3.0}
    )
    monkeypatch.setattr(service_controller, "AGAIN_SECONDS", 5.0)
    node = swarm.nodes[2]
    async with running(swarm.manager.url) as house:
        # Stop-first, Swarm itself would wait a minute for the old copy to stop.
        probeless = workload(busybox, workers=("node-3",), probes=Probes(), update=GENTLY)
        with containerd_stopped(node):
            await house.driver.apply(probeless)
            await anyio.sleep(1)
            await house.driver.apply(replace(probeless, workers=()))
            told = await house.told_of("TaskStuck")
            assert "a copy on node-3 was" in told.message and told.warning
            await house.until(replace(probeless, workers=()), all_ready(1))
