"""What can break in a Swarm, and how long it takes until everything serves again. For tests and measurements."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from swarm.cluster import Cluster
from swarm.node import Node, until

COPIES = 3
Repair = Callable[[], None]


class Disturbed(AssertionError):
    """All serve again after so many `seconds`, but something that had not been hurt was restarted, or called Down."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"healed after {seconds:.2f} s, but others were disturbed")
        self.seconds = seconds


@dataclass
class Subject:
    """Services of three copies on a cluster. `service`: the Swarm name of one; `asked`: of one with a health check;
    `probe`: of one with a container on every machine, all in `network`, answering on `port`. `heals_itself`: nobody
    has to spread the copies again after a machine came back.
    """

    name: str
    made: Cluster
    service: str
    asked: str
    probe: str
    network: str
    port: int
    conductor: Callable[[], str] | None = None
    well: Callable[[], bool] = field(default=lambda: True)
    heals_itself: bool = False

    def prepare(self) -> None:
        """Until a copy of everything runs on each machine: every fault begins from the same state."""
        until(self.all_well, "all is well before", 120)
        for each in () if self.heals_itself else (self.service, self.asked):
            if len(set(self.running(each).values())) < COPIES:
                self.made.manager.docker("service", "update", "-q", "-d", "--force", each)
        until(lambda: self.all_well() and self._is_spread(), "a copy is on every machine", 120)

    def _is_spread(self) -> bool:
        return all(len(set(self.running(each).values())) == COPIES for each in (self.service, self.asked))

    def running(self, service: str = "") -> dict[str, str]:
        """Task → host name, of what is wanted and runs (with a health check: and is healthy)."""
        api = self.made.client()
        try:
            names = {node.id: node.attrs["Description"]["Hostname"] for node in api.nodes.list()}
            filters = {"service": service or self.service, "desired-state": "running"}
            tasks = api.api.tasks(filters)
            return {
                task["ID"]: names.get(task["NodeID"], "?") for task in tasks if task["Status"]["State"] == "running"
            }
        finally:
            api.close()

    def all_well(self) -> bool:
        serving = all(len(self.running(each)) == COPIES for each in (self.service, self.asked))
        return serving and len(self.made.ready_nodes()) == len(self.made.nodes) and self.well()

    def container(self, node: Node) -> int:
        """Pid of a copy's first process on that machine."""
        api = node.client()
        try:
            mark = {"label": f"com.docker.swarm.service.name={self.service}"}
            return int(api.containers.list(filters=mark)[0].attrs["State"]["Pid"])
        finally:
            api.close()

    def pairs_reach(self) -> bool:
        return all(self.reaches(a, b) for a in self.made.nodes for b in self.made.nodes if a is not b)

    def reaches(self, one: Node, other: Node) -> bool:
        """Whether the probe on one machine reaches the one on the other through the overlay network."""
        mark = f"label=com.docker.swarm.service.name={self.probe}"
        there, here = (each.docker("ps", "-q", "--filter", mark).split()[0] for each in (other, one))
        template = f'{{{{(index .NetworkSettings.Networks "{self.network}").IPAddress}}}}'
        address = other.docker("inspect", "-f", template, there).strip()
        pid = one.docker("inspect", "-f", "{{.State.Pid}}", here).strip()
        try:
            one.inside(
                "nsenter", "-t", pid, "-n", "timeout", "1", "bash", "-c", f"exec 3<>/dev/tcp/{address}/{self.port}"
            )
        except RuntimeError:
            return False
        return True


@dataclass(frozen=True)
class Fault:
    """`run` hurts, waits until all serve again, repairs what it broke; the seconds until they did.

    `leaves_damage`: a plain Swarm is broken for good afterwards. `slow_without_us`: it takes minutes there.
    `ours_only`: a plain Swarm has nothing that could be hurt.
    """

    name: str
    run: Callable[[Subject, float], float]
    target: float | None = None
    leaves_damage: bool = False
    slow_without_us: bool = False
    ours_only: bool = False


def _hurting(hurt: Callable[[Subject, Node], Repair], *, asked: bool = False) -> Callable[[Subject, float], float]:
    """Hurts a worker; until its copies have successors elsewhere or there. `asked`: those with a health check."""

    def run(subject: Subject, patience: float) -> float:
        subject.prepare()
        worker, watched = subject.made.nodes[1], subject.asked if asked else subject.service
        lost = {task for task, name in subject.running(watched).items() if name == worker.name}
        began = time.monotonic()
        repair = hurt(subject, worker)
        try:
            until(lambda: _all_but(subject, watched, lost), "all serve again", patience)
            return time.monotonic() - began
        finally:
            repair()

    return run


def _all_but(subject: Subject, service: str, lost: set[str]) -> bool:
    """As many as wanted run, and none of those that were lost."""
    now = subject.running(service).keys()
    return len(now) == COPIES and not lost & now


def _kill(subject: Subject, worker: Node) -> Repair:
    os.kill(subject.container(worker), signal.SIGKILL)
    return lambda: None


def _hang(subject: Subject, worker: Node) -> Repair:
    """Every process of the copy, its init too."""
    api = worker.client()
    mark = {"label": f"com.docker.swarm.service.name={subject.asked}"}
    pids = [int(line[1]) for line in api.containers.list(filters=mark)[0].top()["Processes"]]
    api.close()
    for pid in pids:
        try:
            os.kill(pid, signal.SIGSTOP)
        except ProcessLookupError:
            continue
    return lambda: None


def _lose_power(subject: Subject, worker: Node) -> Repair:
    worker.power_loss()
    return worker.start


def _cut(subject: Subject, worker: Node) -> Repair:
    worker.cut()
    return worker.heal


def _by_hand(change: Sequence[str]) -> Callable[[Subject, float], float]:
    def run(subject: Subject, patience: float) -> float:
        subject.prepare()
        before = subject.running().keys()
        began = time.monotonic()
        subject.made.manager.docker("service", *[word.format(name=subject.service) for word in change])
        until(lambda: len(now := subject.running()) == COPIES and not before <= now.keys(), "put back", patience)
        return time.monotonic() - began

    return run


def _moving(*numbers: int) -> Callable[[Subject, float], float]:
    def run(subject: Subject, patience: float) -> float:
        subject.prepare()
        until(subject.pairs_reach, "all pairs reach each other before", 60)
        before = subject.running().keys()
        began = time.monotonic()
        for number in numbers:
            node, host = subject.made.nodes[number], int(subject.made.nodes[number].address.rsplit(".", 1)[1])
            node.move(host + 10 if host < 240 else host - 200)
        until(subject.pairs_reach, "all pairs reach each other", patience)
        took = time.monotonic() - began
        if len(subject.made.ready_nodes()) < len(subject.made.nodes) or before != subject.running().keys():
            raise Disturbed(took)
        return took

    return run


def _restarting_manager(*, answers: bool) -> Callable[[Subject, float], float]:
    """Its Docker daemon ends as `systemctl restart docker` ends it; the other machines' copies must run on.

    `answers`: until the conductor there does, too.
    """

    def run(subject: Subject, patience: float) -> float:
        subject.prepare()
        manager = subject.made.manager
        running = subject.running()
        own = {task for task, name in running.items() if name == manager.name}
        began = time.monotonic()
        manager.stop()
        manager.begin()
        # For a moment the Swarm still tells of its own copies as they were.
        until(
            lambda: _all_but(subject, subject.service, own) and (subject.well() or not answers),
            "all serve again",
            patience,
        )
        took = time.monotonic() - began
        if not running.keys() - own <= subject.running().keys():
            raise Disturbed(took)
        return took

    return run


def _kill_conductor(subject: Subject, patience: float) -> float:
    subject.prepare()
    assert subject.conductor is not None
    before = subject.running().keys()
    began = time.monotonic()
    subject.made.manager.docker("kill", "--signal", "KILL", subject.conductor())
    until(lambda: not subject.well(), "the conductor is gone", 5)
    until(subject.well, "the conductor answers again", patience)
    took = time.monotonic() - began
    if before != subject.running().keys():
        raise Disturbed(took)
    return took


FAULTS = (
    Fault("container killed", _hurting(_kill), 1),
    Fault("hung process (SIGSTOP)", _hurting(_hang, asked=True), 5, slow_without_us=True),
    Fault("power loss", _hurting(_lose_power), 5),
    Fault("cut off", _hurting(_cut), 5),
    Fault("scaled by hand", _by_hand(["scale", "-d", "{name}=1"]), 2, leaves_damage=True),
    Fault("removed by hand", _by_hand(["rm", "{name}"]), 2, leaves_damage=True),
    Fault("a worker's address changes", _moving(1), 5, leaves_damage=True),
    Fault("the only manager's address changes", _moving(0), 5, leaves_damage=True),
    Fault("both at once", _moving(0, 2), 5, leaves_damage=True),
    Fault("the manager's Docker restarts", _restarting_manager(answers=False), 10),
    Fault("the same, until the API answers", _restarting_manager(answers=True), ours_only=True),
    Fault("conductor killed: until its API answers", _kill_conductor, ours_only=True),
)
