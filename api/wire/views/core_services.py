"""Services, shown as core/v1 services: where to reach them. Read only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from api.wire.views.templates import selector_labels
from api.wire.views.view import Body, Shown, shown_uid
from crds.kind import READ_VERBS, Column, Kind
from crds.kinds.service import SERVICE
from crds.meta import ObjectKey
from crds.schema import ANYTHING


def _ports(service: Body) -> str:
    return ",".join(f"{each['port']}/{each['protocol']}" for each in service["spec"].get("ports") or ()) or "<none>"


def _selector(service: Body) -> str:
    return ",".join(f"{name}={value}" for name, value in service["spec"]["selector"].items())


CORE_SERVICE: Kind[Any] = Kind(
    name="Service",
    plural="services",
    group="",
    singular="service",
    short_names=("svc",),
    model=Shown,
    verbs=READ_VERBS,
    has_status=False,
    description="Where a service can be reached. To change it, use services.aerekos.cloud.",
    given_schema={"type": "object", "properties": {"spec": dict(ANYTHING), "status": dict(ANYTHING)}},
    columns=(
        Column("Name", "metadata.name"),
        Column("Type", "spec.type"),
        Column("Cluster-IP", "spec.clusterIP"),
        Column("External-IP", "", read=lambda _: "<none>"),
        Column("Port(s)", "", read=_ports),
        Column("Age", "metadata.creationTimestamp", type="date"),
        Column("Selector", "", priority=1, read=_selector),
    ),
)


class CoreServices:
    """Headless: clients reach instances through the gateway, never by an address of the service itself."""

    kind, source = CORE_SERVICE, SERVICE

    def show(self, resource: Body) -> Iterable[Body]:
        meta = resource["metadata"]
        kept = ("name", "namespace", "creationTimestamp", "deletionTimestamp", "labels", "annotations")
        yield {
            "metadata": {**{n: meta[n] for n in kept if n in meta}, "uid": shown_uid(meta["uid"], "service")},
            "spec": {
                "type": "ClusterIP",
                "clusterIP": "None",
                "clusterIPs": ["None"],
                "selector": selector_labels(meta["name"]),
                "ports": _ports_of(resource),
            },
            "status": {"loadBalancer": {}},
        }

    def holder(self, key: ObjectKey) -> Iterable[ObjectKey]:
        return (SERVICE.key(key.name, key.namespace),)


def _ports_of(service: Body) -> list[Body]:
    instances = (service.get("status") or {}).get("instances") or ()
    ports = {str(each.get("address", "")).rpartition(":")[2] for each in instances}
    numbers = sorted(int(port) for port in ports if port.isdigit())
    return [{"name": f"p{each}", "port": each, "targetPort": each, "protocol": "TCP"} for each in numbers]
