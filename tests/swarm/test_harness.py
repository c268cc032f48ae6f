"""The test bed itself: what happens to a node is what would happen to a machine, and nothing is left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from docker.types import EndpointSpec, RestartPolicy, ServiceMode
from swarm.cluster import Cluster, busybox_tar, cluster
from swarm.needs import why_not
from swarm.node import until
from swarm.slots import leftovers


@pytest.fixture(scope="module")
def canary(swarm: Cluster, busybox: str):
    """A copy on every node, answering with its node's name."""
    api = swarm.client()
    service = api.services.create(
        busybox,
        command=["sh", "-c", "echo here > /www/index.html; exec httpd -f -p 80 -h /www"],
        name="canary",
        mode=ServiceMode("global"),
        endpoint_spec=EndpointSpec(mode="dnsrr"),
        restart_policy=RestartPolicy("any", delay=0),
    )
    yield lambda: [task for task in service.tasks() if task["Status"]["State"] == "running"]
    service.remove()
    api.close()


def test_every_node_runs_a_container(swarm, canary):
    until(lambda: len(canary()) == 3, "three copies run")
    assert swarm.ready_nodes() == {"node-1", "node-2", "node-3"}


def test_a_cut_node_is_missed_and_found_again(swarm, canary):
    node = swarm.nodes[2]
    node.cut()
    until(lambda: node.name not in swarm.ready_nodes(), "the cut is noticed")
    node.heal()
    until(lambda: node.name in swarm.ready_nodes(), "the node is back")


def test_a_node_comes_back_after_a_power_loss(swarm, canary):
    node = swarm.nodes[2]
    until(lambda: len(canary()) == 3, "three copies run")
    node.power_loss()
    until(lambda: node.name not in swarm.ready_nodes(), "the loss is noticed")
    node.start()
    until(lambda: node.name in swarm.ready_nodes() and len(canary()) == 3, "its copy runs again")


HOLDER = """
import sys
from swarm.cluster import cluster
with cluster(1) as made:
    print(made.slot.number, flush=True)
    sys.stdin.read()
"""


def test_nothing_is_left_when_the_tests_are_killed():
    if reason := why_not():
        pytest.skip(reason)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    )
    number = int(holder.stdout.readline())
    slot = type("Seen", (), {"name": f"aek{number}", "folder": Path(f"/tmp/aerekos-swarm-{number}")})
    assert leftovers(slot)
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    until(lambda: not leftovers(slot), "everything is swept")


def test_a_full_disk_stops_pulls_until_there_is_room_again():
    if reason := why_not():
        pytest.skip(reason)
    with cluster(1) as made:
        image = made.push("busybox:1", busybox_tar(made.slot.folder))
        (small,) = made.add_nodes(1, disk_megabytes=64)
        small.fill_disk()
        with pytest.raises(RuntimeError, match="no space left on device"):
            small.docker("pull", image)
        small.empty_disk()
        small.docker("pull", image)
    assert leftovers(made.slot) == []
