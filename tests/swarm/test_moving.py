"""Addresses change on a real Swarm of three machines, and Swarm does not notice.

Only the agent's part for this runs, as a process in each machine's network. It is told once who the others are; after
that there is no conductor: whatever works here works by announcements alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from docker.types import EndpointSpec, RestartPolicy, ServiceMode
from swarm.agents import REPOSITORY, Running, begin
from swarm.cluster import Cluster, busybox_tar, cluster
from swarm.needs import why_not
from swarm.node import Node, until

# The tests move one Swarm from place to place: one after another.
pytestmark = pytest.mark.xdist_group("moving")
# A Swarm with a heartbeat of one second calls a silent node Down after three.
WATCHED_SECONDS = 5.0
FAR = 0
HOMES = {"node-1": 11, "node-2": 12, "node-3": 13}
AGENT = """
import json, sys
from pathlib import Path
import anyio
from agent.addressing import AddressTracker
from controller.kit.clock import SystemClock

async def main(home, worker, identity):
    moving = AddressTracker(home, worker, identity, SystemClock())
    (home / "part.json").write_text(json.dumps({"worker": worker, **moving.heartbeat_fields()}))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(moving.run)
        while not (home / "peers.json").exists():
            await anyio.sleep(0.05)
        moving.update_peers(json.loads((home / "peers.json").read_text()))

anyio.run(main, Path(sys.argv[1]), sys.argv[2], sys.argv[3])
"""


@dataclass
class World:
    """A Swarm with a container on each machine, all in one overlay network, and what follows addresses."""

    made: Cluster
    folder: Path
    identities: Mapping[str, str]
    agents: dict[str, Running] = field(default_factory=dict)
    containers: dict[str, tuple[int, str]] = field(default_factory=dict)

    def start_agent(self, node: Node) -> None:
        home = self.folder / node.name
        home.mkdir(exist_ok=True)
        command = [sys.executable, "-c", AGENT, str(home), node.name, self.identities[node.name]]
        self.agents[node.name] = begin(node, command, self.folder / f"{node.name}-{len(self.agents)}.out")

    def introduce(self) -> None:
        """Everybody to everybody, as the conductor's answer to a heartbeat does."""
        parts = [self.folder / node.name / "part.json" for node in self.made.nodes]
        until(lambda: all(each.exists() for each in parts), "every agent has said who it is")
        time.sleep(0.2)
        told = json.dumps([json.loads(each.read_text()) for each in parts])
        for each in parts:
            each.with_name("peers.json").write_text(told)

    def find_containers(self) -> None:
        """Pid and address in the overlay network of the one on each machine."""
        for node in self.made.nodes:
            name = node.docker("ps", "-q", "--filter", "label=com.docker.swarm.service.name=web").split()[0]
            template = "{{.State.Pid}} {{.NetworkSettings.Networks.mesh.IPAddress}}"
            pid, address = node.docker("inspect", "-f", template, name).split()
            self.containers[node.name] = (int(pid), address)

    def all_pairs_reach(self) -> bool:
        """Each container opens a connection to each other one, all at the same time."""
        asking = [
            subprocess.Popen(
                ["nsenter", "-t", str(pid), "-n", "timeout", "0.5", "bash", "-c", f"exec 3<>/dev/tcp/{address}/80"],
                stderr=subprocess.DEVNULL,
            )
            for one, (pid, _) in self.containers.items()
            for other, (_, address) in self.containers.items()
            if one != other
        ]
        return sum(each.wait() for each in asking) == 0

    def move(self, node: Node, host: int) -> None:
        """To another address; with `FAR` into a network of its own, where nobody hears a broadcast of the others."""
        if host == FAR:
            node.address = f"198.19.{node.number}.1"
            node.inside("ip", "addr", "flush", "dev", "eth0")
            node.inside("ip", "addr", "add", f"{node.address}/24", "dev", "eth0")
        else:
            node.move(host)
        for network in (f"{node.slot.address(0)}/24", "198.19.0.0/16"):
            node.inside("ip", "route", "replace", network, "dev", "eth0")

    def go_home(self) -> None:
        """Every machine to where it was at first, until all know it."""
        for node in self.made.nodes:
            if node.address != self.identities[node.name]:
                self.move(node, HOMES[node.name])
        until(self.all_pairs_reach, "all pairs reach each other again")

    def rules(self, node: Node) -> list[str]:
        """Ours, in whatever table."""
        return [line for line in node.inside("iptables-save").splitlines() if "AEREKOS" in line]


@dataclass
class Watched:
    """What the manager said again and again while something happened."""

    states: set[tuple[str, str]] = field(default_factory=set)
    tasks: set[frozenset[tuple[str, str]]] = field(default_factory=set)
    looks: int = 0

    def look(self, world: World) -> None:
        api = world.made.client(5)
        try:
            for node in api.nodes.list():
                self.states.add((node.attrs["Description"]["Hostname"], node.attrs["Status"]["State"]))
            tasks = api.api.tasks({"service": "web"})
            self.tasks.add(frozenset((task["ID"], task["Status"]["State"]) for task in tasks))
        finally:
            api.close()
        self.looks += 1


@contextmanager
def watching(world: World) -> Iterator[Watched]:
    """Until the end of the block."""
    seen, over = Watched(), threading.Event()

    def keep_looking() -> None:
        while not over.wait(0.1):
            seen.look(world)

    thread = threading.Thread(target=keep_looking)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if reason := why_not():
        pytest.skip(reason)
    with cluster(3, heartbeat_seconds=1) as made:
        image = made.push("busybox:1", busybox_tar(made.slot.folder))
        api = made.client()
        api.networks.create("mesh", driver="overlay")
        api.services.create(
            image,
            command=["sh", "-c", "echo here > /www/index.html; exec httpd -f -p 80 -h /www"],
            name="web",
            mode=ServiceMode("global"),
            networks=["mesh"],
            endpoint_spec=EndpointSpec(mode="dnsrr"),
            restart_policy=RestartPolicy("any", delay=0),
        )
        api.close()
        running = World(made, tmp_path_factory.mktemp("moving"), {each.name: each.address for each in made.nodes})
        for node in made.nodes:
            node.inside("ip", "route", "add", "198.19.0.0/16", "dev", "eth0")
            # A machine does not answer here for an address it only keeps on lo: nothing works by that.
            node.inside("sysctl", "-q", "-w", "net.ipv4.conf.all.arp_ignore=1")
            running.start_agent(node)
        running.introduce()
        try:
            until(lambda: len(web_tasks(made)) == 3, "a copy runs on each machine")
            running.find_containers()
            until(running.all_pairs_reach, "all pairs reach each other")
            yield running
        finally:
            for each in running.agents.values():
                each.stop()


def web_tasks(made: Cluster) -> list[str]:
    api = made.client()
    try:
        tasks = api.api.tasks({"service": "web"})
        return [task["ID"] for task in tasks if task["Status"]["State"] == "running"]
    finally:
        api.close()


def test_as_long_as_nobody_is_elsewhere_no_kernel_is_told_anything(world: World) -> None:
    world.go_home()
    until(lambda: [world.rules(node) for node in world.made.nodes] == [[], [], []], "no rule is left")
    time.sleep(WATCHED_SECONDS)
    assert [world.rules(node) for node in world.made.nodes] == [[], [], []]


@pytest.mark.parametrize(
    "moves",
    [{1: 41}, {0: 42}, {0: 51, 2: 53}, {0: 61, 1: 62, 2: 63}, {0: FAR, 2: FAR}, {0: 11, 1: 12, 2: 13}],
    ids=["worker", "manager", "manager-and-worker", "all", "two-far-away", "all-back"],
)
def test_machines_move_and_swarm_does_not_notice(world: World, moves: dict[int, int]) -> None:
    assert world.all_pairs_reach()
    with watching(world) as seen:
        for number, host in moves.items():
            world.move(world.made.nodes[number], host)
        until(world.all_pairs_reach, "all pairs reach each other again")
        time.sleep(WATCHED_SECONDS)
    assert seen.looks > 5 and seen.states == {(node.name, "ready") for node in world.made.nodes}, "none was Down"
    assert len(seen.tasks) == 1, "no task changed"
    assert world.all_pairs_reach()


def test_at_home_again_nothing_of_ours_is_left(world: World) -> None:
    world.move(world.made.nodes[1], 41)
    until(lambda: all(map(world.rules, world.made.nodes)), "every kernel is told of the move")
    world.go_home()
    until(lambda: not any(world.rules(node) for node in world.made.nodes), "all rules are gone")
    shown = ("ip", "addr", "show", "dev", "lo")
    until(lambda: not any("aerekos" in each.inside(*shown) for each in world.made.nodes), "its addresses follow")


def test_an_agent_that_starts_again_disturbs_nothing_and_knows_everybody(world: World) -> None:
    """What stands stays while no agent runs, and the next one, which nobody tells anything, changes nothing of it."""
    _, second, third = world.made.nodes
    world.move(second, 71)
    until(world.all_pairs_reach, "all pairs reach each other again")
    until(lambda: not any("CUT" in rule for rule in world.rules(second)), "the move is over")
    world.agents[third.name].stop()
    before, there = world.rules(third), second.address
    assert before and world.all_pairs_reach()
    (world.folder / third.name / "peers.json").unlink()
    world.start_agent(third)
    world.move(second, 72)
    until(lambda: second.address in " ".join(world.rules(third)), "it heard of the next move")
    until(world.all_pairs_reach, "all pairs reach each other again")
    until(lambda: "addresses are translated" in world.agents[third.name].text(), "it says so")
    said = world.agents[third.name].text()
    assert said.index("a peer has moved") < said.index("addresses are translated"), "all stood as it should"
    assert world.rules(third) == [each.replace(there, second.address) for each in before]


KERNEL = """
import subprocess
from agent.addressing.netfilter import Netfilter
from agent.addressing.nat_rules import PeerAddress, nat_rules

def run(text): return subprocess.run(text.split(), check=True, capture_output=True, text=True).stdout
def foreign(): return [line for line in run("iptables -t nat -S").splitlines() if "AEREKOS" not in line]
def moved(address, *left): return nat_rules(
    PeerAddress("192.0.2.1", address, "oak", 1), [PeerAddress("192.0.2.2", "192.0.2.92", "elm", 1)],
    port=7446, left=left)

run("ip link set lo up")
run("ip addr add 198.51.100.7/32 dev lo")
run("iptables -t nat -N DOCKER")
run("iptables -t nat -A OUTPUT -m addrtype --dst-type LOCAL -j DOCKER")
before, kernel, away = foreign(), Netfilter(), moved("192.0.2.91")
def steps(wanted, look=False): return kernel.apply(wanted, look=look), Netfilter().apply(wanted, look=True)

print("moved:", steps(moved("192.0.2.91", "192.0.2.81")))
print("label:", "lo:aerekos" in run("ip addr show dev lo"), "others:", foreign() == before)
print("after a while:", steps(away))
run("iptables -t nat -F OUTPUT")
print("flushed, looked:", steps(away, look=True))
print("at home:", steps(nat_rules(PeerAddress("192.0.2.1", "192.0.2.1"), [], port=7446)))
print("left:", "AEREKOS" in run("iptables-save"), "lo:aerekos" in run("ip addr show dev lo"))
print("others:", "198.51.100.7" in run("ip addr show dev lo"))
"""


def test_the_kernel_is_changed_once_and_what_others_made_is_left_alone() -> None:
    """In a network of its own, with the real programs. Steps are counted, those of another agent after that too."""
    if reason := why_not():
        pytest.skip(reason)
    command = ["unshare", "-n", sys.executable, "-c", KERNEL]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "moved: (3, 0)",
        "label: True others: True",
        "after a while: (2, 0)",
        "flushed, looked: (1, 0)",
        "at home: (3, 0)",
        "left: False False",
        "others: True",
    ]
