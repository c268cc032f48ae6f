"""Swarm services of others → Services: everything is said, or it is refused in words."""

from __future__ import annotations

from typing import Any

import pytest

from controller.runtime.swarm import naming
from controller.runtime.swarm.adoption import CannotAdopt, service_of, volumes_of
from crds.kinds.service import Service


def found(container: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """As Docker tells `docker service create -p 8080:80 -e A=1 nginx:1 nginx -g x`."""
    said = {"Image": "nginx:1@sha256:0", "Args": ["nginx", "-g", "x"], "Env": ["A=1=2", "B"], **(container or {})}
    ports = [{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "ingress"}]
    spec = {"Labels": {}, "TaskTemplate": {"ContainerSpec": said}, "EndpointSpec": {"Ports": ports}}
    return {"ID": "s1", "Spec": {**spec, "Mode": {"Replicated": {"Replicas": 3}}, **more}}


def test_what_it_runs_is_said_as_a_service() -> None:
    health = {"Test": ["CMD-SHELL", "true"], "Interval": 2_000_000_000, "Timeout": 1_000_000_000, "Retries": 2}
    made = service_of(found({"Healthcheck": health}), "web", "default")
    assert made["spec"] == {
        "image": "nginx:1",
        "args": ["nginx", "-g", "x"],
        "mode": "replicated",
        "replicas": 3,
        "env": [{"name": "A", "value": "1=2"}, {"name": "B", "value": ""}],
        "ports": [{"port": 80, "protocol": "tcp", "published": 8080}],
        "probes": {
            "liveness": {
                "exec": {"command": ["sh", "-c", "true"]},
                "periodSeconds": 2.0,
                "timeoutSeconds": 1.0,
                "failureThreshold": 2,
            }
        },
    }
    assert Service.model_validate(made).spec.ports[0].published == 8080


def test_a_global_one_is_a_daemon_and_limits_are_kept() -> None:
    limits = {"Limits": {"NanoCPUs": 1_500_000_000, "MemoryBytes": 1024}}
    one = found(Mode={"Global": {}})
    one["Spec"]["TaskTemplate"]["Resources"] = limits
    spec = service_of(one, "web", "default")["spec"]
    assert (spec["mode"], spec["resources"]) == ("daemon", {"limits": {"cpu": "1500m", "memory": "1024"}})


def test_its_volumes_are_kept_under_names_a_service_may_use() -> None:
    one = found({"Mounts": [{"Type": "volume", "Source": "Shop_data.1", "Target": "/data"}]})
    assert service_of(one, "web", "default")["spec"]["volumes"] == [{"name": "shop-data-1", "path": "/data"}]
    assert volumes_of(one) == {"shop-data-1": "Shop_data.1"}


def test_what_binds_it_to_machines_is_refused() -> None:
    one = found()
    one["Spec"]["TaskTemplate"]["Placement"] = {"Constraints": ["node.role==worker"]}
    with pytest.raises(CannotAdopt, match="bound to node"):
        service_of(one, "web", "default")


@pytest.mark.parametrize(
    ("one", "because"),
    [
        (found(Labels={naming.CLOUD: "other"}), "belongs to a cloud already"),
        (found(Mode={"ReplicatedJob": {}}), "ReplicatedJob"),
        (found({"Mounts": [{"Type": "bind", "Source": "/srv", "Target": "/data"}]}), "/srv at /data"),
        (found({"Mounts": [{"Type": "volume", "Target": "/data"}]}), "something without a name at /data"),
        (found({"User": "nobody", "TTY": True}), "User, TTY"),
        (found({"Secrets": [{"SecretName": "s"}]}), "secrets"),
    ],
)
def test_what_no_service_can_say_is_refused(one: dict[str, Any], because: str) -> None:
    with pytest.raises(CannotAdopt, match=because):
        service_of(one, "web", "default")
