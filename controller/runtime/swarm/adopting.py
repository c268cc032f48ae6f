"""A Swarm service that somebody else made → the Service that would run the same. Pure.

Swarm cannot rename a service, so adopting one means to run its like under our name and then to remove it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.runtime.swarm import naming
from crds.kinds.service import SERVICE

_SECOND = 1_000_000_000


class CannotAdopt(ValueError):
    """What of it no Service can say."""


def service_of(found: Mapping[str, Any], name: str, namespace: str) -> dict[str, Any]:
    """The manifest. Raises CannotAdopt rather than leaving something out silently."""
    spec = found["Spec"]
    if naming.CLOUD in (spec.get("Labels") or {}):
        raise CannotAdopt("it belongs to a cloud already")
    container = spec["TaskTemplate"]["ContainerSpec"]
    mode, replicas = _mode(spec["Mode"])
    said = {
        "image": container["Image"].partition("@")[0],
        "command": [*(container.get("Command") or []), *(container.get("Args") or [])],
        "mode": mode,
        "replicas": replicas,
        "env": [_variable(each) for each in container.get("Env") or []],
        "ports": [_port(each) for each in (spec.get("EndpointSpec") or {}).get("Ports") or []],
        "volumes": [_volume(each) for each in container.get("Mounts") or []],
        "probes": _probes(container.get("Healthcheck") or {}),
        "resources": _limits(spec["TaskTemplate"].get("Resources") or {}),
    }
    for part in ("Secrets", "Configs"):
        if container.get(part):
            raise CannotAdopt(
                f"it has {part.lower()}, whose content Docker does not tell; make them and use spec.files"
            )
    kept = {field: value for field, value in said.items() if value not in ([], {}, None)}
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": SERVICE.api_version, "kind": SERVICE.name, "metadata": meta, "spec": kept}


def _mode(mode: Mapping[str, Any]) -> tuple[str, int]:
    if "Replicated" in mode:
        return "replicated", int(mode["Replicated"].get("Replicas", 1))
    if "Global" in mode:
        return "daemon", 1
    raise CannotAdopt(f"it is a {' '.join(mode)}, which runs to its end: make a new one")


def _variable(text: str) -> dict[str, str]:
    name, _, value = text.partition("=")
    return {"name": name, "value": value}


def _port(port: Mapping[str, Any]) -> dict[str, Any]:
    published = {"published": port["PublishedPort"]} if port.get("PublishedPort") else {}
    return {"port": port["TargetPort"], "protocol": port.get("Protocol", "tcp"), **published}


def _volume(mount: Mapping[str, Any]) -> dict[str, str]:
    """Our volumes carry our names: what is in the old one has to be copied by hand, which is worth a refusal."""
    raise CannotAdopt(
        f"it mounts {mount.get('Source', 'a volume')} at {mount['Target']}: copy its data, then make a new one"
    )


def _probes(health: Mapping[str, Any]) -> dict[str, Any]:
    test = health.get("Test") or ["NONE"]
    if test[0] == "NONE":
        return {}
    command = ["sh", "-c", test[1]] if test[0] == "CMD-SHELL" else list(test[1:])
    probe = {
        "exec": {"command": command},
        "periodSeconds": health.get("Interval", 0) / _SECOND or 30,
        "timeoutSeconds": health.get("Timeout", 0) / _SECOND or 30,
        "failureThreshold": health.get("Retries", 0) or 3,
    }
    return {"liveness": probe}


def _limits(resources: Mapping[str, Any]) -> dict[str, Any]:
    limits = resources.get("Limits") or {}
    said = {}
    if limits.get("NanoCPUs"):
        said["cpu"] = f"{limits['NanoCPUs'] // 1_000_000}m"
    if limits.get("MemoryBytes"):
        said["memory"] = str(limits["MemoryBytes"])
    return {"limits": said} if said else {}
