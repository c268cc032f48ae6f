"""Names and labels of our things in a Swarm. Pure.

A name alone proves nothing: only what carries the label of this cloud is ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from crds.kinds.service import SERVICE
from crds.meta import ObjectKey

CLOUD = "aerekos.cloud/cloud"
NAMESPACE = "aerekos.cloud/namespace"
NAME = "aerekos.cloud/name"
UID = "aerekos.cloud/uid"
REVISION = "aerekos.cloud/revision"
CONTENT = "aerekos.cloud/content"
PORT = "aerekos.cloud/port"
# The revision that was tried last: it stays when Swarm restores the one before.
TRYING = "aerekos.cloud/trying"
# The revision that did not get ready, and what it died of: not to be tried again.
FAILED = "aerekos.cloud/failed"
BECAUSE = "aerekos.cloud/failed-because"
# When a stopped rollout was told to go on. The same spec once more would be taken for the one that has just stopped.
RESUMED = "aerekos.cloud/resumed"
# The revision that is what somebody else had made, before it was adopted.
ADOPTED = "aerekos.cloud/adopted"
ANY_REVISION = "any"
# Which of its volumes were there before, as JSON: name in the spec → name in Docker. Only adopting writes it: whoever
# could choose any volume could read everybody's.
VOLUMES = "aerekos.cloud/volumes"
# The move of one copy that is under way (see rebalancing).
MOVING = "aerekos.cloud/moving"
# Marks that come and go; the others stay with a service.
NOTES = (TRYING, FAILED, BECAUSE, MOVING)
# What `docker stack rm` looks for.
STACK = "com.docker.stack.namespace"
LONGEST = 63


@dataclass(frozen=True, slots=True)
class Cloud:
    """The cloud that owns the things in a Swarm. `stack`: the Docker stack they are parts of; `control_network`: the
    conductor's own.
    """

    name: str = "aerekos"
    stack: str = ""
    control_network: str = ""

    @property
    def marks(self) -> dict[str, str]:
        """Labels on everything of this cloud."""
        return {CLOUD: self.name} | ({STACK: self.stack} if self.stack else {})

    @property
    def reached(self) -> tuple[str, ...]:
        """Networks in which a conductor of a stack meets its services, best first; none for one outside."""
        return (self.control_network, network_name(self, "default")) if self.stack else ()


def swarm_name(cloud: Cloud, key: ObjectKey) -> str:
    """`aerekos_default_web`. No namespace or name holds an underscore, so no two keys share one."""
    return _short(f"{cloud.name}_{key.namespace or 'default'}_{key.name}")


def network_name(cloud: Cloud, namespace: str) -> str:
    """Services of one namespace see each other, under their own names."""
    return _short(f"{cloud.name}_{namespace or 'default'}")


def visitor_name(key: ObjectKey) -> str:
    """Name in networks of other namespaces. `svc` is no top-level domain: no name of the world outside is taken."""
    return f"{key.name}.{key.namespace or 'default'}.svc"


def instance_name(key: ObjectKey, slot: int | str) -> str:
    """`web-1`, or `payments.web-1` outside `default`: Swarm counts its copies from 1, or `web-<node>` of a daemon."""
    base = key.name if key.namespace in ("", "default") else f"{key.namespace}.{key.name}"
    return f"{base}-{slot}"


def labels(cloud: Cloud, key: ObjectKey, uid: str) -> dict[str, str]:
    """Labels that make an object ours, and say whose it is."""
    return cloud.marks | {NAMESPACE: key.namespace, NAME: key.name, UID: uid}


def key_in(found: Mapping[str, str]) -> ObjectKey | None:
    """Key of the workload those labels name; None when the labels are not (all of) ours."""
    if NAME not in found or NAMESPACE not in found:
        return None
    return SERVICE.key(found[NAME], found[NAMESPACE])


def _short(name: str) -> str:
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
