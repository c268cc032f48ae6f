"""Endpoints: where the instances of Services listen, as core/v1 shows it. Read only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from api.kube.views.schemas import items, number, text, thing
from api.kube.views.view import Body, ViewObject, own_annotations, shown_uid
from crds.kind import READ_VERBS, Column, Kind
from crds.kinds.service import SERVICE
from crds.meta import ObjectKey

_SHOWN_AT_MOST = 3


def _told(endpoints: Body) -> str:
    """As kubectl prints them."""
    ready = [
        f"{address['ip']}:{port['port']}"
        for subset in endpoints["subsets"]
        for address in subset.get("addresses") or ()
        for port in subset["ports"]
    ]
    more = len(ready) - _SHOWN_AT_MOST
    return ",".join(ready[:_SHOWN_AT_MOST]) + (f" + {more} more..." if more > 0 else "") or "<none>"


_ADDRESS = thing("", ip=text(), nodeName=text(), targetRef=thing("The pod."))
_SUBSET = thing(
    "Addresses with the same port.",
    addresses=items(_ADDRESS),
    notReadyAddresses=items(_ADDRESS),
    ports=items(thing("", name=text(), port=number(), protocol=text())),
)
ENDPOINTS: Kind[Any] = Kind(
    name="Endpoints",
    plural="endpoints",
    group="",
    singular="endpoints",
    short_names=("ep",),
    model=ViewObject,
    verbs=READ_VERBS,
    has_status=False,
    description="Where the instances of a service listen.",
    given_schema=thing(subsets=items(_SUBSET)),
    columns=(
        Column("Name", "metadata.name"),
        Column("Endpoints", "", read=_told),
        Column("Age", "metadata.creationTimestamp", type="date"),
    ),
)


class Endpoints:
    """One for each Service, named like it."""

    kind, source = ENDPOINTS, SERVICE

    def show(self, resource: Body) -> Iterable[Body]:
        meta = resource["metadata"]
        kept = ("name", "namespace", "creationTimestamp", "labels")
        named = {name: meta[name] for name in kept if name in meta}
        uid = shown_uid(meta["uid"], "endpoints")
        yield {
            "metadata": {**named, "uid": uid, "annotations": own_annotations(resource)},
            "subsets": _subsets(resource),
        }

    def holder(self, key: ObjectKey) -> Iterable[ObjectKey]:
        return (SERVICE.key(key.name, key.namespace),)


def _subsets(service: Body) -> list[Body]:
    by_port: dict[int, Body] = {}
    for instance in (service.get("status") or {}).get("instances") or ():
        ip, _, port = str(instance.get("address", "")).rpartition(":")
        if not ip or not port.isdigit():
            continue
        ports = [{"name": f"p{port}", "port": int(port), "protocol": "TCP"}]
        subset = by_port.setdefault(int(port), {"ports": ports})
        subset.setdefault("addresses" if instance.get("ready") else "notReadyAddresses", []).append(
            {
                "ip": ip.strip("[]"),
                "nodeName": instance.get("worker", ""),
                "targetRef": {
                    "kind": "Pod",
                    "name": instance["name"],
                    "namespace": service["metadata"]["namespace"],
                },
            }
        )
    return [by_port[port] for port in sorted(by_port)]
