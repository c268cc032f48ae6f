"""What holds for every Service: a managed one runs what its manifest says, under the name that is kept for it.

Whoever may write Services would otherwise run their own code with the rights of a managed service: by a probe, a
variable of the environment, a file, or by taking its name with a container of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crds.errors import Cause
from crds.kinds.service_engines import engine_is_for_life
from crds.probes import path_fault
from crds.rules import Write, forbidden

# What people may say of a managed service. Everything else of the spec, also fields still to come, is its manifest's.
MANAGED_MAY_SET = frozenset(
    {
        "managed",
        "activation",
        "idleSeconds",
        "enabled",
        "replicas",
        "needs",
        "resources",
        "placement",
        "stopGraceSeconds",
        "mode",
        "update",
        "timeouts",
    }
)
MANAGED_NAMESPACE = "default"
# Parts of the cloud itself: the conductor meets the services of that namespace in a network where names are spoken,
# and tokens say by such a name whom they are for.
PLATFORM_NAMES = frozenset({"conductor", "registry", "gateway", "agent", "mesh", "api", "refresh"})
# Where machines listen for the cloud and for the Swarm: who published one of these would be asked for what is meant
# for the cloud, passwords for images among it.
PLATFORM_PORTS = frozenset({2377, 4789, 7443, 7444, 7446, 7447, 7946})


def service_name(managed: str) -> str:
    """The name of the Service of that managed service: `notes-manager` of `notes_manager`."""
    return managed.replace("_", "-")


def from_manifest_only(write: Write) -> Iterator[Cause]:
    """Fields of a managed Service that its manifest decides. What was stored before stays, and is not run."""
    old, new = _spec(write.old), _spec(write.new)
    if not new.get("managed"):
        return
    for field in foreign_fields(new):
        if old.get(field) != new[field]:
            text = f"what {new['managed']} runs comes from its manifest alone; leave {field} out"
            yield forbidden(f"spec.{field}", text)


def foreign_fields(spec: dict[str, Any]) -> list[str]:
    """The fields a managed Service's spec may not have, and has. Empty lists and texts mean nothing was said."""
    return sorted(field for field, value in spec.items() if field not in MANAGED_MAY_SET and value)


def managed_is_for_life(write: Write) -> Iterator[Cause]:
    """A Service does not become another one: the data and the rights of the first would be the second's."""
    if write.old is None or write.new is None:
        return
    before, after = _spec(write.old).get("managed"), _spec(write.new).get("managed")
    if before != after:
        yield forbidden("spec.managed", "it cannot change; delete this Service and make another")


def names_are_kept(write: Write) -> Iterator[Cause]:
    """The name of a managed service is for it alone, and it has no other. What was stored before may be changed."""
    if write.old is not None or write.new is None:
        return
    meta = write.new.get("metadata") or {}
    if meta.get("namespace") in (None, "", MANAGED_NAMESPACE) and meta.get("name") in PLATFORM_NAMES:
        text = f"the name {meta['name']} is kept for a part of the cloud itself; take another, or another namespace"
        yield forbidden("metadata.name", text)
    if text := misplaced(write.new, write.managed):
        yield forbidden("metadata.name" if not _spec(write.new).get("managed") else "spec.managed", text)


def misplaced(body: dict[str, Any], managed: frozenset[str]) -> str:
    """Why that Service may not have its name, or not be what it is; empty when it may."""
    meta, said = body.get("metadata") or {}, _spec(body).get("managed")
    place = (str(meta.get("namespace") or MANAGED_NAMESPACE), str(meta.get("name")))
    owner = {(MANAGED_NAMESPACE, service_name(each)): each for each in managed}.get(place)
    if owner is not None and said != owner:
        return f"the name {place[1]} is kept for the managed service {owner}; take another"
    if said in managed and owner != said:
        return f"{said} runs once, as the Service {service_name(said)} in the namespace {MANAGED_NAMESPACE}"
    return ""


def ports_are_kept(write: Write) -> Iterator[Cause]:
    """No machine's port of the cloud itself is published for anybody. Stored ones stay."""
    before = [each.get("published") for each in _spec(write.old).get("ports") or ()]
    for index, each in enumerate(_spec(write.new).get("ports") or ()):
        port = each.get("published")
        if port in PLATFORM_PORTS and port not in before:
            yield forbidden(f"spec.ports[{index}].published", f"{port} is kept for the cloud itself; take another")


def probes_ask_itself(write: Write) -> Iterator[Cause]:
    """Probes are asked by the runtime: for a path that is one, at a port of the Service. Stored ones stay."""
    old, new = _spec(write.old).get("probes"), _spec(write.new).get("probes")
    if not new or new == old:
        return
    ports = {each.get("port") for each in _spec(write.new).get("ports") or () if each.get("protocol") != "udp"}
    for name, probe in new.items():
        for sort in ("httpGet", "tcpSocket"):
            asked = (probe or {}).get(sort) or {}
            field = f"spec.probes.{name}.{sort}"
            if fault := path_fault(asked.get("path", "/")):
                yield Cause(f"{field}.path", f"Invalid value: {asked['path']!r}: {fault}")
            if ports and asked.get("port") and asked["port"] not in ports:
                known = ", ".join(map(str, sorted(ports)))
                yield Cause(
                    f"{field}.port", f"Invalid value: {asked['port']}: it has the ports {known}; add it there"
                )


def _spec(body: dict[str, Any] | None) -> dict[str, Any]:
    return (body or {}).get("spec") or {}


SERVICE_RULES = (
    from_manifest_only,
    managed_is_for_life,
    engine_is_for_life,
    names_are_kept,
    ports_are_kept,
    probes_ask_itself,
)
