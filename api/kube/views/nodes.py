"""Workers, shown as core/v1 nodes: for `cordon`, `uncordon`, `taint`, `drain`, `top` and whoever reads nodes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from api.kube.views.schemas import NODE_SPEC, NODE_STATUS, thing
from api.kube.views.view import Body, ViewObject, given_annotations, own_annotations
from crds.conditions import ConditionType
from crds.errors import Cause, Invalid
from crds.kind import Column, Kind
from crds.kinds.worker import WORKER
from crds.meta import ObjectKey

_OURS = ("kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch")
_PODS = "110"  # what Kubernetes says by default; nothing here limits them


def _status(node: Body) -> str:
    ready = next(
        (each["status"] for each in node["status"]["conditions"] if each["type"] == ConditionType.READY), "Unknown"
    )
    word = {"True": "Ready", "False": "NotReady"}.get(ready, "Unknown")
    return f"{word},SchedulingDisabled" if node["spec"].get("unschedulable") else word


def _address(node: Body) -> str:
    return next((each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP"), "<none>")


NODE: Kind[Any] = Kind(
    name="Node",
    plural="nodes",
    group="",
    singular="node",
    short_names=("no",),
    namespaced=False,
    model=ViewObject,
    verbs=("delete", "get", "list", "patch", "update", "watch"),
    has_status=False,
    selectable=("spec.unschedulable",),
    selectable_absent={"spec.unschedulable": "false"},
    description="A machine that runs services: a worker, as Kubernetes tools know it.",
    given_schema=thing(spec=NODE_SPEC, status=NODE_STATUS),
    columns=(
        Column("Name", "metadata.name"),
        Column("Status", "", read=_status),
        Column("Roles", "", read=lambda _: "worker"),
        Column("Age", "metadata.creationTimestamp", type="date"),
        Column("Version", "status.nodeInfo.kubeletVersion"),
        Column("Internal-IP", "", priority=1, read=_address),
        Column("OS-Image", "status.nodeInfo.osImage", priority=1),
        Column("Kernel-Version", "status.nodeInfo.kernelVersion", priority=1),
    ),
)


class Nodes:
    """Labels, annotations, `spec.unschedulable` and `spec.taints` can be written."""

    kind, source, part = NODE, WORKER, ""

    def show(self, resource: Body) -> Iterable[Body]:
        meta, spec, status = resource["metadata"], resource.get("spec") or {}, resource.get("status") or {}
        labels = {**(meta.get("labels") or {}), **_labels(meta["name"], status.get("system") or {})}
        kept = ("name", "uid", "creationTimestamp", "deletionTimestamp", "finalizers")
        shown = {**{name: meta[name] for name in kept if name in meta}, "labels": labels}
        yield {
            "metadata": {**shown, "annotations": own_annotations(resource)},
            "spec": _spec(spec),
            "status": {
                "capacity": _amounts(status.get("capacity") or {}),
                "allocatable": _amounts(status.get("capacity") or {}),
                "addresses": _addresses(meta["name"], status),
                "conditions": [_condition(each) for each in status.get("conditions") or ()],
                "nodeInfo": _info(status.get("system") or {}),
            },
        }

    def holder(self, key: ObjectKey) -> Iterable[ObjectKey]:
        return (WORKER.key(key.name),)

    def back(self, resource: Body, shown: Body, wanted: Body) -> Body:
        meta, spec = wanted.get("metadata") or {}, wanted.get("spec") or {}
        labels = {name: value for name, value in (meta.get("labels") or {}).items() if name not in _OURS}
        worker = {**(resource.get("spec") or {}), "unschedulable": bool(spec.get("unschedulable"))}
        worker["taints"] = [_taint(each) for each in spec.get("taints") or ()]
        annotations = given_annotations(resource, meta.get("annotations") or {})
        kept = {"annotations": annotations or None, "finalizers": meta.get("finalizers"), "labels": labels or None}
        whole = {**resource["metadata"], **kept}
        return {**resource, "metadata": {n: v for n, v in whole.items() if v is not None}, "spec": worker}


def _labels(name: str, system: Body) -> dict[str, str]:
    known = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": str(system.get("operatingSystem", "")).lower(),
        "kubernetes.io/arch": str(system.get("architecture", "")),
    }
    return {label: value for label, value in known.items() if value}


def _spec(spec: Body) -> Body:
    shown: Body = {}
    if spec.get("unschedulable"):
        shown["unschedulable"] = True
    if spec.get("taints"):
        shown["taints"] = [{name: value for name, value in each.items() if value} for each in spec["taints"]]
    return shown


def _taint(taint: Any) -> Body:
    if not isinstance(taint, dict) or not taint.get("key"):
        cause = Cause("spec.taints", "every taint needs a key")
        raise Invalid("the node is invalid: spec.taints: every taint needs a key", causes=(cause,))
    return {name: taint[name] for name in ("key", "value", "effect") if taint.get(name)}


def _amounts(capacity: Body) -> Body:
    return {
        "cpu": capacity.get("cpu", "0"),
        "memory": capacity.get("memory", "0"),
        "ephemeral-storage": capacity.get("disk", "0"),
        "pods": _PODS,
    }


def _addresses(name: str, status: Body) -> list[Body]:
    known = [{"type": each["type"], "address": each["address"]} for each in status.get("addresses") or ()]
    named = any(each["type"] == "Hostname" for each in known)
    return known if named else [*known, {"type": "Hostname", "address": name}]


def _condition(condition: Body) -> Body:
    told: Body = {name: condition[name] for name in ("type", "status", "reason", "message") if name in condition}
    if since := condition.get("lastTransitionTime"):
        told |= {"lastTransitionTime": since, "lastHeartbeatTime": since}
    return told


def _info(system: Body) -> Body:
    return {
        "architecture": system.get("architecture", ""),
        "bootID": system.get("bootId", ""),
        "containerRuntimeVersion": "aerekos://",
        "kernelVersion": system.get("kernelVersion", ""),
        "kubeProxyVersion": "",
        "kubeletVersion": system.get("agentVersion") or "unknown",
        "machineID": system.get("machineId", ""),
        "operatingSystem": str(system.get("operatingSystem", "")).lower(),
        "osImage": system.get("osImage", ""),
        "systemUUID": system.get("machineId", ""),
    }
