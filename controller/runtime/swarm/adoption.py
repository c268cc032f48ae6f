"""A Swarm service that somebody else made → the Service that would run the same. Pure.

It keeps running as it is: it is only marked as ours. Another revision of the Service then replaces its copies, as any
update does. So whatever a Service cannot say is refused: the first update would drop it silently.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from controller.runtime.swarm import naming
from crds.kinds.service import SERVICE

_SECOND = 1_000_000_000
_UNSAYABLE = (
    "User", "Dir", "Hostname", "TTY", "OpenStdin", "Groups", "Privileges", "ReadOnly", "StopSignal", "Hosts",
    "DNSConfig", "Sysctls", "CapabilityAdd", "CapabilityDrop", "Ulimits",
)  # fmt: skip


class CannotAdopt(ValueError):
    """The Swarm service has something that no Service can say."""


def service_of(found: Mapping[str, Any], name: str, namespace: str) -> dict[str, Any]:
    """The manifest. Raises CannotAdopt rather than leaving something out silently."""
    spec = found["Spec"]
    if naming.CLOUD in (spec.get("Labels") or {}):
        raise CannotAdopt("it belongs to a cloud already")
    container = spec["TaskTemplate"]["ContainerSpec"]
    mode, replicas = _mode(spec["Mode"])
    said = {
        "image": container["Image"].partition("@")[0],
        "command": list(container.get("Command") or []),
        "args": list(container.get("Args") or []),
        "mode": mode,
        "replicas": replicas,
        "env": [_variable(each) for each in container.get("Env") or []],
        "ports": [_port(each) for each in (spec.get("EndpointSpec") or {}).get("Ports") or []],
        "volumes": [{"name": name, "path": path} for name, (_, path) in _volumes(container).items()],
        "probes": _probes(container.get("Healthcheck") or {}),
        "resources": _limits(spec["TaskTemplate"].get("Resources") or {}),
    }
    _refuse_what_is_not_said(container, spec["TaskTemplate"])
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


def volumes_of(found: Mapping[str, Any]) -> dict[str, str]:
    """Name in the Service → Docker's name, of each volume. Raises CannotAdopt."""
    return {name: source for name, (source, _) in _volumes(found["Spec"]["TaskTemplate"]["ContainerSpec"]).items()}


def _volumes(container: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Name in the Service → Docker's name and the path. Raises CannotAdopt."""
    named: dict[str, tuple[str, str]] = {}
    for mount in container.get("Mounts") or []:
        if mount.get("Type", "bind") != "volume" or not mount.get("Source") or mount.get("ReadOnly"):
            what = mount.get("Source") or "something without a name"
            raise CannotAdopt(f"it mounts {what} at {mount['Target']}; only named volumes can be kept")
        name = re.sub(r"[^a-z0-9]+", "-", mount["Source"].lower()).strip("-")[-63:].strip("-")
        name = name if name and name not in named else f"volume-{len(named)}"
        named[name] = (mount["Source"], mount["Target"])
    return named


def _refuse_what_is_not_said(container: Mapping[str, Any], template: Mapping[str, Any]) -> None:
    for part in ("Secrets", "Configs"):
        if container.get(part):
            raise CannotAdopt(
                f"it has {part.lower()}, whose content Docker does not tell; make them and use spec.files"
            )
    if unsaid := [name for name in _UNSAYABLE if container.get(name)]:
        raise CannotAdopt(f"it sets {', '.join(unsaid)}, which no Service can say")
    if constraints := (template.get("Placement") or {}).get("Constraints"):
        bound = ", ".join(constraints)
        raise CannotAdopt(f"it is bound to {bound}; take that off, and use spec.placement.workerSelector afterwards")


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
