"""Recovery on a real Swarm: our settings beside Swarm's own defaults, in the same run. Needs root; see docs/swarm.md.

Seconds from the fault until all three copies run again on reachable machines; the median of ROUNDS.
"""

from __future__ import annotations

import os
import signal
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests")]

from docker.types import EndpointSpec, RestartPolicy, ServiceMode  # noqa: E402
from swarm.cluster import Cluster, busybox_tar, cluster  # noqa: E402
from swarm.needs import why_not  # noqa: E402
from swarm.node import Node, until  # noqa: E402

from controller.runtime.swarm.wishing import RESTART_AFTER_SECONDS  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "5"))
COPIES = 3
# name, heartbeat of the Swarm in seconds, restart delay in seconds
SETTINGS = (("Swarm's defaults", 5, 5.0), ("ours", 1, RESTART_AFTER_SECONDS))


def kill_container(node: Node) -> Callable[[], None]:
    api = node.client()
    container = api.containers.list(filters={"label": "com.docker.swarm.service.name=web"})[0]
    os.kill(int(container.attrs["State"]["Pid"]), signal.SIGKILL)
    api.close()
    return lambda: None


def lose_power(node: Node) -> Callable[[], None]:
    node.power_loss()
    return node.start


def cut_off(node: Node) -> Callable[[], None]:
    node.cut()
    return node.heal


FAULTS = {"container killed": kill_container, "power loss": lose_power, "cut off": cut_off}


def running(service: Any) -> dict[str, str]:
    """Task → node id, of what is wanted and runs."""
    tasks = service.tasks(filters={"desired-state": "running"})
    return {task["ID"]: task["NodeID"] for task in tasks if task["Status"]["State"] == "running"}


def recovery_seconds(made: Cluster, service: Any, fault: Callable[[Node], Callable[[], None]]) -> float:
    """Hurts a worker that has a copy; waits until that copy has a successor."""
    until(lambda: len(running(service)) == COPIES and len(made.ready_nodes()) == len(made.nodes), "all is well", 60)
    api, before = made.client(), running(service)
    names = {node.id: node.attrs["Description"]["Hostname"] for node in api.nodes.list()}
    worker = next(each for each in made.nodes[1:] if each.name in {names[id_] for id_ in before.values()})
    hurt = {task for task, id_ in before.items() if names[id_] == worker.name}
    began = time.monotonic()
    repair = fault(worker)
    until(lambda: len(now := running(service)) == COPIES and hurt - now.keys(), "all copies run again", 90)
    took = time.monotonic() - began
    repair()
    api.close()
    return took


def measure(heartbeat: int, delay: float) -> dict[str, list[float]]:
    with cluster(3, heartbeat_seconds=heartbeat) as made:
        image = made.push("busybox:1", busybox_tar(made.slot.folder))
        service = made.client().services.create(
            image,
            command=["httpd", "-f", "-p", "80", "-h", "/www"],
            name="web",
            mode=ServiceMode("replicated", replicas=COPIES),
            endpoint_spec=EndpointSpec(mode="dnsrr"),
            restart_policy=RestartPolicy("any", delay=int(delay * 1e9)),
        )
        return {
            name: [recovery_seconds(made, service, fault) for _ in range(ROUNDS)] for name, fault in FAULTS.items()
        }


def main() -> None:
    if reason := why_not():
        sys.exit(f"cannot run here: {reason}")
    results = {name: measure(heartbeat, delay) for name, heartbeat, delay in SETTINGS}
    print("| until all copies run again (median) |" + "".join(f" {name} |" for name in results))
    print("|---|" + "---|" * len(results))
    for fault in FAULTS:
        medians = (statistics.median(each[fault]) for each in results.values())
        print(f"| {fault} |" + "".join(f" {median:.2f} s |" for median in medians))


if __name__ == "__main__":
    main()
