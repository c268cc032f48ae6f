"""Workload → the Swarm service it should be (Docker's ServiceSpec). Pure.

Copies are told apart by Swarm's slots. No virtual addresses: names resolve to all copies (`dnsrr`), and published
ports belong to the machine a copy runs on (`host`), which keeps the caller's address visible.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.runtime.driver import RolloutPolicy, Volume, Workload
from controller.runtime.swarm import naming
from controller.runtime.swarm.healthcheck import SECOND, healthcheck
from controller.runtime.swarm.naming import CONTENT, REVISION, VOLUMES, Cloud, instance_name, labels, swarm_name

PORT = 8080
DATA = "/data"
# Swarm's own 5 s would be most of an outage. What crashes at once is held back by the time a start takes.
RESTART_AFTER_SECONDS = 0.05
# The way back must not fail for want of room: what was there is restored in its place.
ROLLBACK = RolloutPolicy(order="stop-first", on_failure="pause")
NODE_CONSTRAINT = "node.id!="
# As whom our image of managed services runs (images/services).
MANAGED_USER = 10001
# As whom our images of engines run (images/engine.sh).
ENGINE_USER = 10002
# Of what Docker gives to every container, what lets it pretend to be a neighbour, make devices, or write the host's
# audit log; nobody's program needs that.
DROPPED = ("CAP_AUDIT_WRITE", "CAP_MKNOD", "CAP_NET_RAW")


@dataclass(frozen=True)
class SpecDependencies:
    """What the driver prepared: ids of networks, references to secrets and configs, nodes to stay away from, and
    Docker's names of volumes that were there before.
    """

    networks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    secrets: Sequence[dict[str, Any]] = ()
    configs: Sequence[dict[str, Any]] = ()
    avoid: Sequence[str] = ()
    volumes: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> frozenset[str]:
        """Names of the secrets and configs."""
        return frozenset(
            [each["SecretName"] for each in self.secrets] + [each["ConfigName"] for each in self.configs]
        )


def port_of(workload: Workload) -> int:
    """Where the container listens: its first port, or 8080."""
    return workload.ports[0].port if workload.ports else PORT


def service_spec(cloud: Cloud, workload: Workload, around: SpecDependencies) -> dict[str, Any]:
    """The whole spec, with its own hash as a label."""
    spec: dict[str, Any] = {
        "Name": swarm_name(cloud, workload.key),
        "Labels": labels(cloud, workload.key, workload.uid),
        "TaskTemplate": {
            "ContainerSpec": _container(cloud, workload, around),
            "Resources": {"Limits": _limits(workload), "Reservations": {}},
            "RestartPolicy": _restarting(workload),
            "Placement": {"Constraints": [f"{NODE_CONSTRAINT}{each}" for each in sorted(around.avoid)]},
            "Networks": [{"Target": id_, "Aliases": list(aliases)} for id_, aliases in around.networks.items()],
            "LogDriver": {"Name": "json-file", "Options": {"max-size": "10m", "max-file": "3"}},
        },
        "Mode": _mode(workload),
        "EndpointSpec": {"Mode": "dnsrr", "Ports": _ports(workload)},
    }
    if workload.mode != "job":  # Swarm refuses them for what runs only once
        spec |= {"UpdateConfig": _one_by_one(workload.update), "RollbackConfig": _one_by_one(ROLLBACK)}
    if around.volumes:
        spec["Labels"][VOLUMES] = json.dumps(around.volumes, sort_keys=True)
    spec["Labels"] |= {REVISION: workload.revision, CONTENT: _hash(spec)}
    return spec


def _mode(workload: Workload) -> dict[str, Any]:
    if workload.mode == "daemon":
        return {"Global": {}}
    if workload.mode == "job":
        return {"ReplicatedJob": {"MaxConcurrent": workload.replicas, "TotalCompletions": workload.replicas}}
    return {"Replicated": {"Replicas": workload.replicas}}


def _restarting(workload: Workload) -> dict[str, Any]:
    condition = "on-failure" if workload.mode == "job" else "any"
    return {"Condition": condition, "Delay": int(RESTART_AFTER_SECONDS * SECOND), "MaxAttempts": 0}


def _container(cloud: Cloud, workload: Workload, around: SpecDependencies) -> dict[str, Any]:
    return {
        "Image": workload.image,
        "Command": list(workload.command),
        "Args": list(workload.args),
        "Env": [
            *(f"{name}={_filled(text, workload)}" for name, text in sorted(workload.env.items())),
            *(f"{name}={_as_it_is(text)}" for name, text in sorted(workload.secret_env.items())),
        ],
        "Labels": {
            **labels(cloud, workload.key, workload.uid),
            REVISION: workload.revision,
            naming.PORT: str(port_of(workload)),
        },
        "Healthcheck": healthcheck(workload.probes, port_of(workload), workload.start_seconds),
        "StopGracePeriod": int(workload.stop_grace_seconds * SECOND),
        "Init": True,
        "Mounts": _mounts(cloud, workload, around),
        "Secrets": list(around.secrets),
        "Configs": list(around.configs),
        **({"StopSignal": workload.stop_signal} if workload.stop_signal != "SIGTERM" else {}),
        **_confined(workload),
    }


def _confined(workload: Workload) -> dict[str, Any]:
    """Ours: no rights, one user, nothing to write but data and /tmp. Docker's own seccomp profile stays for all."""
    if (user := own_user(workload)) is None:
        return {"CapabilityDrop": list(DROPPED)}
    return {"CapabilityDrop": ["ALL"], "User": f"{user}:{user}", "ReadOnly": True}


def own_user(workload: Workload) -> int | None:
    """As whom it runs, when its image is one of ours: a managed service, or an engine."""
    if workload.control:
        return MANAGED_USER
    return ENGINE_USER if workload.account else None


def _filled(text: str, workload: Workload) -> str:
    places = {
        "{port}": str(port_of(workload)),
        "{address}": f"0.0.0.0:{port_of(workload)}",
        "{data}": DATA,
        "{instance}": instance_name(workload.key, 0).removesuffix("0") + "{{.Task.Slot}}",
    }
    for place, value in places.items():
        text = text.replace(place, value)
    return text


def _as_it_is(text: str) -> str:
    """Docker reads variables as templates."""
    return text.replace("{{", '{{"{{"}}')


def _mounts(cloud: Cloud, workload: Workload, around: SpecDependencies) -> list[dict[str, Any]]:
    """Volumes stay on the machine they were made on."""
    wanted = list(workload.volumes)
    if any("{data}" in text for text in workload.env.values()) and not any(each.name == "data" for each in wanted):
        wanted.append(Volume("data", DATA))
    base = swarm_name(cloud, workload.key)
    names = {each.name: around.volumes.get(each.name, f"{base}_{each.name}") for each in wanted}
    made: list[dict[str, Any]] = [
        {"Type": "volume", "Source": names[each.name], "Target": each.path} for each in wanted
    ]
    return [*made, {"Type": "tmpfs", "Target": "/tmp"}] if own_user(workload) else made  # noqa: S108 (its own)


def _limits(workload: Workload) -> dict[str, int]:
    amounts = {"NanoCPUs": int(workload.limits.cpu * SECOND), "MemoryBytes": workload.limits.memory}
    return {name: amount for name, amount in amounts.items() if amount}


def _ports(workload: Workload) -> list[dict[str, Any]]:
    return [
        {"Protocol": each.protocol, "TargetPort": each.port, "PublishedPort": each.published, "PublishMode": "host"}
        for each in workload.ports
        if each.published
    ]


def _one_by_one(update: RolloutPolicy) -> dict[str, Any]:
    """The next copy only when the last one is ready; a new revision that does not start replaces no other copy."""
    return {
        "Parallelism": 1,
        "FailureAction": update.on_failure,
        "Monitor": int(update.monitor_seconds * SECOND),
        "MaxFailureRatio": 0,
        "Order": update.order,
    }


def _hash(spec: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]
