"""The two sides of a comparison: a plain Swarm service, and the same as a Service of a cloud with three machines."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from docker.types import EndpointSpec, Healthcheck, ServiceMode
from swarm.breaking import COPIES, Subject
from swarm.cluster import Cluster, busybox_tar, cluster
from swarm.node import until
from swarm.stack import Deployed, deploy

SCRIPT = "mkdir -p /www; hostname > /www/index.html; exec httpd -f -p 80 -h /www"
# Asked by hand: the wget of Debian's static busybox crashes outside Debian.
ASKING = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 1 127.0.0.1 80 | grep -q 200"
IMAGE = "127.0.0.1:7444/busybox:1"
PROBE = {
    "exec": {"command": ["sh", "-c", ASKING]},
    "periodSeconds": 0.5,
    "timeoutSeconds": 0.5,
    "failureThreshold": 2,
}
WEB: dict[str, Any] = {"image": IMAGE, "command": ["sh", "-c", SCRIPT], "ports": [{"port": 80}]}
ASKED = {**WEB, "probes": {"liveness": PROBE}}


def plain_subject(made: Cluster, image: str) -> Subject:
    """With everything at Docker's defaults; only the question of the health check is the same."""
    api = made.client()
    api.networks.create("mesh", driver="overlay")
    web: dict[str, Any] = {"command": ["sh", "-c", SCRIPT], "networks": ["mesh"]}
    web["endpoint_spec"] = EndpointSpec(mode="dnsrr")
    api.services.create(image, name="mesh", mode=ServiceMode("global"), **web)
    asked = Healthcheck(test=["CMD-SHELL", ASKING])
    copies = ServiceMode("replicated", COPIES)
    api.services.create(image, name="web", mode=copies, **web)
    api.services.create(image, name="asked", mode=copies, healthcheck=asked, **web)
    api.close()
    return Subject("plain", made, "web", "asked", "mesh", "mesh", 80)


@contextmanager
def joined_cloud(folder: Path) -> Iterator[Deployed]:
    """`make swarm-up` on the first machine, the printed line on the others."""
    with cluster(3, swarm=False) as made:
        cloud = deploy(made, folder)
        for node in made.nodes[1:]:
            cloud.join(node)
        made.manager.docker("import", str(busybox_tar(made.slot.folder)), IMAGE)
        cloud.push(IMAGE)
        yield cloud


def our_subject(cloud: Deployed) -> Subject:
    """The services `web` and `asked`, ready."""
    cloud.apply(web={**WEB, "replicas": COPIES}, asked={**ASKED, "replicas": COPIES})
    for each in ("web", "asked"):
        cloud.until_ready(each, COPIES)
    names = ("aerekos_default_web", "aerekos_default_asked", "aerekos_mesh", "aerekos_control")
    subject = Subject("ours", cloud.made, *names, 7448, heals_itself=True)
    subject.conductor, subject.well = cloud.conductor, cloud.is_ready
    return subject


def many_services(cloud: Deployed, count: int) -> dict[str, Any]:
    """Applied at once: seconds until all are Ready, calls to Docker for each, and calls in ten seconds at rest."""
    until(cloud.is_ready, "the conductor answers", 60)
    before, began = docker_calls(cloud), time.monotonic()
    for start in range(0, count, 50):
        names = [f"many-{number}" for number in range(start, min(start + 50, count))]
        cloud.apply(**{name: {**WEB, "replicas": 1} for name in names})

    def ready() -> int:
        listed = cloud.get("services")["items"]
        return sum(
            each["status"].get("ready") == "1/1" for each in listed if each["metadata"]["name"].startswith("many")
        )

    until(lambda: ready() == count, f"{count} services are ready", 900)
    took, asked = time.monotonic() - began, docker_calls(cloud) - before
    time.sleep(15)
    before = docker_calls(cloud)
    time.sleep(10)
    return {
        "services": count,
        "seconds until all are ready": round(took, 1),
        "calls to Docker for each": round(asked / count, 1),
        "calls to Docker per second at rest": round((docker_calls(cloud) - before) / 10, 2),
    }


def docker_calls(cloud: Deployed) -> float:
    """As the conductor's metrics count them."""
    with cloud.http() as api:
        text = api.get("/metrics").text
    return sum(float(each) for each in re.findall(r"^aerekos_docker_calls_total\{[^}]*\} (\S+)$", text, re.MULTILINE))
