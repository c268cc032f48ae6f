"""Services, shown as core/v1 services: where to reach them, and how they are. Read only.

Bare `kubectl get services` means this kind, and shows what it shows of ours: the same columns. For these a few fields
go along that core/v1 does not have; typed clients pass over them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from api.kube.views.pod_template import selector_labels
from api.kube.views.view import Body, ViewObject, own_annotations, shown_uid
from crds.kind import READ_VERBS, Column, Kind
from crds.kinds.service import SERVICE
from crds.meta import ObjectKey
from crds.schema import ANYTHING


def _ports(service: Body) -> str:
    return ",".join(f"{each['port']}/{each['protocol']}" for each in service["spec"].get("ports") or ()) or "<none>"


CORE_SERVICE: Kind[Any] = Kind(
    name="Service",
    plural="services",
    group="",
    singular="service",
    short_names=("svc",),
    model=ViewObject,
    verbs=READ_VERBS,
    has_status=False,
    description="Where a service can be reached. To change it, use services.aerekos.cloud.",
    given_schema={"type": "object", "properties": {"spec": dict(ANYTHING), "status": dict(ANYTHING)}},
    columns=(*SERVICE.columns, Column("Port(s)", "", priority=1, read=_ports)),
)


class CoreServices:
    """Headless: clients reach instances through the gateway, never by an address of the service itself."""

    kind, source = CORE_SERVICE, SERVICE

    def show(self, resource: Body) -> Iterable[Body]:
        meta, spec = resource["metadata"], resource["spec"]
        kept = ("name", "namespace", "creationTimestamp", "deletionTimestamp", "labels")
        yield {
            "metadata": {
                **{name: meta[name] for name in kept if name in meta},
                "uid": shown_uid(meta["uid"], "service"),
                "annotations": own_annotations(resource),
            },
            "spec": {
                "type": "ClusterIP",
                "clusterIP": "None",
                "clusterIPs": ["None"],
                "selector": selector_labels(meta["name"]),
                "ports": _ports_of(resource),
                **{name: spec[name] for name in ("managed", "image") if spec.get(name)},
            },
            "status": {"loadBalancer": {}, **_how_it_is(resource.get("status") or {})},
        }

    def holder(self, key: ObjectKey) -> Iterable[ObjectKey]:
        return (SERVICE.key(key.name, key.namespace),)


def _how_it_is(status: Body) -> Body:
    told: Body = {name: status[name] for name in ("ready", "phase") if name in status}
    instances = [
        {"name": each["name"], "restarts": each.get("restarts", 0)} for each in status.get("instances") or ()
    ]
    # core/v1 has conditions too, but not without these.
    needed = {"reason": "", "message": ""}
    conditions = [{**needed, **each} for each in status.get("conditions") or () if each.get("lastTransitionTime")]
    return {**told, "instances": instances, "conditions": conditions}


def _ports_of(service: Body) -> list[Body]:
    instances = (service.get("status") or {}).get("instances") or ()
    ports = {str(each.get("address", "")).rpartition(":")[2] for each in instances}
    numbers = sorted(int(port) for port in ports if port.isdigit())
    return [{"name": f"p{each}", "port": each, "targetPort": each, "protocol": "TCP"} for each in numbers]
