"""Running instances of services, shown as core/v1 pods: for `logs`, `delete pod` (which restarts it) and `drain`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from api.kube.views.pod_annotations import given, with_notes
from api.kube.views.pod_template import container, selector_labels
from api.kube.views.schemas import POD_SPEC, POD_STATUS, thing
from api.kube.views.view import Body, ViewObject, shown_uid
from controller.resources.registry import Registry
from crds.kind import Column, Kind, Subresource
from crds.kinds.service import SERVICE
from crds.meta import ObjectKey
from crds.phases import InstancePhase

NEEDS_WEBSOCKET = "Upgrade request required: exec is spoken over WebSockets only, as kubectl does from 1.30 on"
NOT_SERVED = {
    ("", "pods", "attach"): "attach is not served: an instance's own input and output belong to its runtime; "
    "use logs -f, or exec",
    ("", "pods", "portforward"): "port-forward is not served; reach services through the gateway, /services/<name>/",
    ("", "pods", "proxy"): "proxy of pods is not served; reach services through the gateway, /services/<name>/",
    ("", "pods", "ephemeralcontainers"): "debug is not served: nothing can be added to an instance; use exec",
}
"""What Kubernetes has below pods and we do not, in words for who asks for it."""
_PHASES = {
    InstancePhase.READY: "Running",
    InstancePhase.RUNNING: "Running",
    InstancePhase.FAILED: "Failed",
}


def _ready(pod: Body) -> str:
    states = pod["status"]["containerStatuses"]
    return f"{sum(each['ready'] for each in states)}/{len(states)}"


def _word(pod: Body) -> str:
    waiting = pod["status"]["containerStatuses"][0]["state"].get("waiting")
    return str(waiting["reason"] if waiting else pod["status"]["phase"])


POD: Kind[Any] = Kind(
    name="Pod",
    plural="pods",
    group="",
    singular="pod",
    short_names=("po",),
    categories=("all",),
    model=ViewObject,
    verbs=("delete", "get", "list", "patch", "watch"),
    has_status=False,
    more_subresources=(
        Subresource("log", ("get",), "Pod"),
        Subresource("exec", ("create", "get"), "PodExecOptions"),
        Subresource("eviction", ("create",), "Eviction", "policy", "v1"),
    ),
    selectable=("spec.nodeName", "status.phase", "spec.restartPolicy"),
    description="A running instance of a service, as Kubernetes tools know it.",
    given_schema=thing(spec=POD_SPEC, status=POD_STATUS),
    columns=(
        Column("Name", "metadata.name"),
        Column("Ready", "", read=_ready),
        Column("Status", "", read=_word),
        Column("Restarts", "status.containerStatuses[0].restartCount", type="integer"),
        Column("Age", "metadata.creationTimestamp", type="date"),
        Column("IP", "status.podIP", priority=1),
        Column("Node", "spec.nodeName", priority=1),
    ),
)


class Pods:
    """Deletion restarts an instance; labels and annotations are what it says of itself (`pod_notes`)."""

    kind, source, part = POD, SERVICE, "status"

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def show(self, resource: Body) -> Iterable[Body]:
        for instance in (resource.get("status") or {}).get("instances") or ():
            yield _pod(resource, instance)

    def back(self, resource: Body, shown: Body, wanted: Body) -> Body:
        instance = instance_of(resource, shown["metadata"]["name"])
        return with_notes(resource, instance, shown, wanted) if instance else resource

    def holder(self, key: ObjectKey) -> Iterable[ObjectKey]:
        # An instance is called after its service: api-0, and with what the runtime adds, api.1.x4f.
        stored = self._registry.store.list(SERVICE.group, SERVICE.plural, key.namespace).records
        return [record.key for record in stored if key.name.startswith(record.key.name)]


def instance_of(service: Body, name: str) -> Body | None:
    """The instance of that name, as the service's status has it."""
    instances: Sequence[Body] = (service.get("status") or {}).get("instances") or ()
    return next((each for each in instances if each["name"] == name), None)


def _pod(service: Body, instance: Body) -> Body:
    meta, started, notes = service["metadata"], instance.get("startedAt"), given(service, instance)
    revision = instance.get("revision", "")
    return {
        "metadata": {
            "name": instance["name"],
            "namespace": meta["namespace"],
            # Another start is another pod: who waits for a deletion sees that the old one is gone.
            "uid": shown_uid(meta["uid"], instance["name"], started or "", str(instance.get("restarts", 0))),
            "creationTimestamp": started or meta["creationTimestamp"],
            "labels": {
                **notes["labels"],
                **(meta.get("labels") or {}),
                **selector_labels(meta["name"]),
                **({"pod-template-hash": revision} if revision else {}),
            },
            **({"annotations": notes["annotations"]} if notes["annotations"] else {}),
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": f"{meta['name']}-{revision or 'none'}",
                    "uid": shown_uid(meta["uid"], revision),
                    "controller": True,
                }
            ],
        },
        "spec": {
            "nodeName": instance.get("worker", ""),
            "containers": [container(service)],
            "restartPolicy": "Always",
            "securityContext": {},  # kubectl debug breaks without it
            "terminationGracePeriodSeconds": int(service["spec"].get("stopGraceSeconds", 0)),
        },
        "status": _status(service, instance),
    }


def _status(service: Body, instance: Body) -> Body:
    ready, started = bool(instance.get("ready")), instance.get("startedAt")
    address = str(instance.get("address", "")).rpartition(":")[0]
    phase = _PHASES.get(instance.get("phase", ""), "Pending")
    running = phase == "Running" and started
    waiting = {"reason": instance.get("phase", InstancePhase.PENDING), "message": instance.get("message", "")}
    state: Body = {"running": {"startedAt": started}} if running else {"waiting": waiting}
    described = container(service)
    status: Body = {
        "phase": phase,
        "conditions": [
            {"type": name, "status": "True" if ready else "False"} for name in ("Ready", "ContainersReady")
        ],
        "containerStatuses": [
            {
                "name": described["name"],
                "image": described["image"],
                "imageID": "",
                "ready": ready,
                "started": bool(running),
                "restartCount": instance.get("restarts", 0),
                "state": state,
            }
        ],
    }
    if started:
        status["startTime"] = started
    if address:
        status |= {"podIP": address, "podIPs": [{"ip": address}], "hostIP": address}
    return status
