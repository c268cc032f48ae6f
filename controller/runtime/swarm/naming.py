"""How our things are called in a Swarm, and how they are known as ours. Pure.

A name alone proves nothing: only what carries the label of this cloud is ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from crds.kinds.service import SERVICE
from crds.meta import ObjectKey

CLOUD = "aerekos.cloud/cloud"
NAMESPACE = "aerekos.cloud/namespace"
NAME = "aerekos.cloud/name"
UID = "aerekos.cloud/uid"
REVISION = "aerekos.cloud/revision"
CONTENT = "aerekos.cloud/content"
PORT = "aerekos.cloud/port"
LONGEST = 63


def swarm_name(cloud: str, key: ObjectKey) -> str:
    """`aerekos_default_web`. No namespace or name holds an underscore, so no two keys share one."""
    return _short(f"{cloud}_{key.namespace or 'default'}_{key.name}")


def network_name(cloud: str, namespace: str) -> str:
    """Services of one namespace see each other, under their own names."""
    return _short(f"{cloud}_{namespace or 'default'}")


def instance_name(key: ObjectKey, slot: int) -> str:
    """`web-1`, or `payments.web-1` outside `default`: Swarm counts its copies from 1."""
    base = key.name if key.namespace in ("", "default") else f"{key.namespace}.{key.name}"
    return f"{base}-{slot}"


def labels(cloud: str, key: ObjectKey, uid: str) -> dict[str, str]:
    """What makes an object ours, and whose it is."""
    return {CLOUD: cloud, NAMESPACE: key.namespace, NAME: key.name, UID: uid}


def key_in(found: Mapping[str, str]) -> ObjectKey | None:
    """Whose it is; None when the labels are not (all of) ours."""
    if NAME not in found or NAMESPACE not in found:
        return None
    return SERVICE.key(found[NAME], found[NAMESPACE])


def _short(name: str) -> str:
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
