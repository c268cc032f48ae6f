"""The swarm driver on three real machines: what is wanted runs, drift is put back, strangers are left alone."""

import os
import signal
from contextlib import suppress

import anyio
import httpx
import pytest
from docker.types import EndpointSpec
from swarm.houses import KEY, all_ready, running, workload
from swarm.node import until

from controller.runtime.driver import DriverError, File, Port, RolloutPolicy, Volume, Workload

pytestmark = pytest.mark.anyio
SERVICE = "aerekos_default_web"


async def test_what_is_wanted_becomes_ready_and_its_log_can_be_read(swarm, busybox):
    async with running(swarm.manager.url) as house:
        (seen,) = await house.until(workload(busybox), all_ready(1))
        assert (seen.name, seen.worker in swarm.ready_nodes()) == ("web-1", True)
        assert seen.address.endswith(":8080")
        assert await house.driver.logs(KEY, None, tail=5) == ["serving as one"]
        assert await house.driver.list_workloads() == [KEY]
    api = swarm.client().api
    assert api.services() == []
    until(lambda: api.tasks() == [], "Swarm forgets what has ended")
    assert not [each for each in api.networks() if "aerekos" in each["Name"]]


async def test_a_killed_container_is_back_and_the_news_say_so(swarm, busybox):
    async with running(swarm.manager.url) as house:
        (before,) = await house.until(workload(busybox), all_ready(1))
        kill(swarm, before.worker, "SIGKILL")
        await house.told_of("TaskFailed")
        (after,) = await house.until(workload(busybox), all_ready(1))
        assert after.restarts == 1
        assert "serves again after" in (await house.told_of("Recovered")).message


async def test_a_hanging_container_is_replaced(swarm, busybox):
    async with running(swarm.manager.url) as house:
        (before,) = await house.until(workload(busybox), all_ready(1))
        kill(swarm, before.worker, "SIGSTOP")
        assert "unhealthy" in (await house.told_of("TaskFailed")).message
        await house.until(workload(busybox), all_ready(1))


async def test_a_new_revision_never_takes_two_down(swarm, busybox):
    async with running(swarm.manager.url) as house:
        await house.until(workload(busybox, replicas=2), all_ready(2))
        fewest = 2

        def rolled(seen):
            nonlocal fewest
            fewest = min(fewest, sum(each.ready for each in seen))
            return all_ready(2, "two")(seen)

        await house.until(workload(busybox, "two", replicas=2), rolled)
        assert fewest == 1


async def test_a_revision_that_does_not_start_is_rolled_back_and_nobody_fights_it(swarm, busybox):
    gently = RolloutPolicy(order="start-first", monitor_seconds=2)
    async with running(swarm.manager.url) as house:
        await house.until(workload(busybox, replicas=2, update=gently), all_ready(2))
        before = {task["ID"] for task in swarm.client().api.tasks() if task["DesiredState"] == "running"}
        broken = workload(busybox, "two", replicas=2, update=gently, command=("sh", "-c", "exit 3"))
        assert "non-zero exit (3)" in (await house.refused(broken, "RolledBack"))
        assert (await house.told_of("RolledBack")).warning
        seen = await house.driver.observe(KEY)
        assert [(each.ready, each.revision) for each in seen] == [(True, "one")] * 2
        now = {task["ID"] for task in swarm.client().api.tasks() if task["DesiredState"] == "running"}
        assert now == before
        await house.until(workload(busybox, "three", replicas=2, update=gently), all_ready(2, "three"))


async def test_a_new_revision_starts_before_the_old_one_stops(swarm, busybox):
    gently = RolloutPolicy(order="start-first")
    async with running(swarm.manager.url) as house:
        await house.until(workload(busybox, replicas=2, update=gently), all_ready(2))
        fewest = 2

        def rolled(seen):
            nonlocal fewest
            fewest = min(fewest, sum(each.ready for each in seen))
            return all_ready(2, "two")(seen)

        await house.until(workload(busybox, "two", replicas=2, update=gently), rolled)
        assert fewest == 2


async def test_a_daemon_runs_everywhere_and_a_job_once(swarm, busybox):
    daemon, job = workload(busybox, mode="daemon"), KEY._replace(name="job")
    once = Workload(job, "uid-job", "one", 2, image=busybox, command=("sh", "-c", "echo done"), mode="job")
    async with running(swarm.manager.url, keys=(KEY, job)) as house:
        seen = await house.until(daemon, all_ready(3))
        assert {each.name for each in seen} == {"web-node-1", "web-node-2", "web-node-3"}
        done = await house.until(once, lambda seen: [each.phase for each in seen] == ["Completed"] * 2)
        assert [each.name for each in done] == ["job-0", "job-1"]


async def test_a_machine_that_is_back_gets_work_and_nothing_is_missed_meanwhile(swarm, busybox):
    async with running(swarm.manager.url) as house:
        wanted = workload(busybox, replicas=3)
        lost = swarm.nodes[2]
        lost.power_loss()
        try:
            until(lambda: lost.name not in swarm.ready_nodes(), "the loss is noticed")
            await house.until(wanted, all_ready(3))
        finally:
            lost.start()
        fewest = 3

        def spread(seen):
            nonlocal fewest
            fewest = min(fewest, sum(each.ready for each in seen))
            return all_ready(3)(seen) and {each.worker for each in seen} == {"node-1", "node-2", "node-3"}

        await house.until(wanted, spread)
        assert fewest >= 3 and "Rebalanced" in house.reasons


async def test_at_rest_nothing_is_asked(swarm, busybox):
    async with running(swarm.manager.url) as house:
        await house.until(workload(busybox, replicas=2), all_ready(2))
        for _ in range(2):  # what was made a moment ago may still be looked at
            house.docker.calls.clear()
            await anyio.sleep(3)
            await house.driver.apply(workload(busybox, replicas=2))
            await house.driver.observe(KEY)
        assert house.docker.calls.total() <= 3, house.docker.calls  # one slow look, at most


async def test_what_is_changed_by_hand_is_put_back(swarm, busybox):
    async with running(swarm.manager.url) as house:
        wanted = workload(busybox, replicas=2)
        await house.until(wanted, all_ready(2))
        service = swarm.client().services.get(SERVICE)
        service.scale(0)
        await house.told_of("DriftCorrected")
        await house.until(wanted, all_ready(2))
        house.told.clear()
        swarm.manager.docker("service", "update", "-d", "--env-add", "SAYS=lies", "--limit-cpu", "1", SERVICE)
        assert "Env" in (await house.told_of("DriftCorrected")).message
        await house.until(wanted, all_ready(2))
        house.told.clear()
        service.remove()
        assert "removed by hand" in (await house.told_of("DriftCorrected")).message
        await house.until(wanted, all_ready(2))


async def test_the_next_conductor_adopts_and_restarts_nothing(swarm, busybox):
    async with running(swarm.manager.url, leave=True) as house:
        await house.until(workload(busybox, replicas=2), all_ready(2))
        before = {task["ID"] for task in swarm.client().api.tasks()}
        version = swarm.client().api.inspect_service(SERVICE)["Version"]
    async with running(swarm.manager.url) as house:
        assert await house.driver.list_workloads() == [KEY]
        await house.until(workload(busybox, replicas=2), all_ready(2))
        assert {task["ID"] for task in swarm.client().api.tasks()} == before
        assert swarm.client().api.inspect_service(SERVICE)["Version"] == version


async def test_a_strangers_service_of_the_same_name_is_never_touched(swarm, busybox):
    api = swarm.client()
    stranger = api.services.create(busybox, ["sleep", "1000"], name=SERVICE, endpoint_spec=EndpointSpec(mode="dnsrr"))
    try:
        async with running(swarm.manager.url) as house:
            with pytest.raises(DriverError, match="not ours") as refused:
                await house.driver.apply(workload(busybox))
            assert (refused.value.reason, refused.value.retryable) == ("NameConflict", False)
            assert await house.driver.list_workloads() == []
        assert api.services.get(SERVICE).id == stranger.id
    finally:
        stranger.remove()


async def test_copies_run_where_they_may(swarm, busybox):
    async with running(swarm.manager.url) as house:
        seen = await house.until(workload(busybox, replicas=2, workers=("node-2",)), all_ready(2))
        assert {each.worker for each in seen} == {"node-2"}
        with pytest.raises(DriverError, match="its nodes are node-1, node-2, node-3"):
            await house.driver.apply(
                Workload(KEY._replace(name="lost"), "u", "r", 1, image="x", workers=("nowhere",))
            )


async def test_ports_volumes_and_files_arrive(swarm, busybox):
    script = "cat /run/password /etc/motto > /www/index.html; touch /keep/it; exec httpd -f -p 80 -h /www"
    wanted = workload(
        busybox,
        command=("sh", "-c", script),
        workers=("node-3",),
        env={"PORT": "{port}"},
        ports=(Port(80, published=18080),),
        volumes=(Volume("keep", "/keep"),),
        files=(File("/run/password", b"hidden ", secret=True), File("/etc/motto", b"seen")),
    )
    async with running(swarm.manager.url) as house:
        (seen,) = await house.until(wanted, all_ready(1))
        assert seen.address == f"{swarm.nodes[2].address}:18080"
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"http://{seen.address}/")).text == "hidden seen"
    api = swarm.client().api
    assert api.secrets() == [] and api.configs() == []


async def test_a_lost_node_moves_its_copy(swarm, busybox):
    async with running(swarm.manager.url) as house:
        await house.until(workload(busybox), all_ready(1))
        wanted = workload(busybox, "two", workers=("node-2", "node-3"))
        (before,) = await house.until(wanted, all_ready(1, "two"))
        lost = next(node for node in swarm.nodes if node.name == before.worker)
        lost.power_loss()
        try:
            (after,) = await house.until(
                wanted, lambda seen: all_ready(1, "two")(seen) and seen[0].worker != before.worker
            )
            assert after.worker in ("node-2", "node-3")
        finally:
            lost.start()
            until(lambda: lost.name in swarm.ready_nodes(), "the node is back")


async def test_a_hung_daemon_costs_its_caller_a_deadline_and_nobody_else_anything(swarm, busybox):
    async with running(swarm.manager.url) as house:
        await house.until(workload(busybox), all_ready(1))
        daemon = swarm.manager.process.pid
        os.kill(daemon, signal.SIGSTOP)
        try:
            longest, last = 0.0, anyio.current_time()
            async with anyio.create_task_group() as group:
                group.start_soon(_refused, house.driver, group.cancel_scope)
                while not group.cancel_scope.cancel_called:
                    await anyio.sleep(0.01)
                    longest, last = max(longest, anyio.current_time() - last), anyio.current_time()
        finally:
            os.kill(daemon, signal.SIGCONT)
        assert longest < 0.5
        await house.until(workload(busybox), all_ready(1))


async def _refused(driver, scope):
    with pytest.raises(DriverError, match="did not answer within 5 s"):
        await driver.list_workloads()
    scope.cancel()


def kill(swarm, worker: str, name: str) -> None:
    """To every process of our one container there."""
    node = next(each for each in swarm.nodes if each.name == worker)
    api = node.client()
    (container,) = api.containers.list(filters={"label": "aerekos.cloud/name=web"})
    for line in container.top()["Processes"]:
        with suppress(ProcessLookupError):  # a healthcheck of it may have ended by itself
            os.kill(int(line[1]), getattr(signal, name))
    api.close()
