"""Services, shown as apps/v1 deployments: for `rollout`, `scale`, `set image` and `set env`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from api.kube.views.pod_template import KUBECTL_RESTARTED_AT, RESTARTED_AT, selector_labels, template, with_template
from api.kube.views.schemas import DEPLOYMENT_SPEC, DEPLOYMENT_STATUS, thing
from api.kube.views.view import Body, ViewObject, given_annotations, own_annotations, shown_uid
from crds.conditions import ConditionType
from crds.errors import Cause, Invalid
from crds.kind import Column, Kind
from crds.kinds.service import SERVICE, SERVICE_LABEL, instances_of
from crds.meta import ObjectKey

REVISION = "deployment.kubernetes.io/revision"


def _ready(deployment: Body) -> str:
    return f"{deployment['status'].get('readyReplicas', 0)}/{deployment['spec']['replicas']}"


def _images(deployment: Body) -> str:
    return ",".join(each["image"] for each in deployment["spec"]["template"]["spec"]["containers"])


DEPLOYMENT: Kind[Any] = Kind(
    name="Deployment",
    plural="deployments",
    group="apps",
    singular="deployment",
    short_names=("deploy",),
    model=ViewObject,
    verbs=("get", "list", "patch", "update", "watch"),
    has_status=False,
    scale_path="spec.replicas",
    scale_selector=instances_of,
    description="A service, as Kubernetes tools know it.",
    given_schema=thing(spec=DEPLOYMENT_SPEC, status=DEPLOYMENT_STATUS),
    columns=(
        Column("Name", "metadata.name"),
        Column("Ready", "", read=_ready),
        Column("Up-to-date", "status.updatedReplicas", type="integer"),
        Column("Available", "status.availableReplicas", type="integer"),
        Column("Age", "metadata.creationTimestamp", type="date"),
        Column("Images", "", priority=1, read=_images),
    ),
)


class Deployments:
    """Labels, annotations, the number of copies and the template of one container can be written."""

    kind, source, part = DEPLOYMENT, SERVICE, ""

    def show(self, resource: Body) -> Iterable[Body]:
        meta, spec = resource["metadata"], resource["spec"]
        kept = ("name", "namespace", "creationTimestamp", "deletionTimestamp", "labels", "generation", "finalizers")
        annotations = {n: v for n, v in own_annotations(resource).items() if n != RESTARTED_AT}
        shown_template = template(resource)
        shown_template["metadata"]["labels"] = selector_labels(meta["name"])
        yield {
            "metadata": {
                **{name: meta[name] for name in kept if name in meta},
                "uid": deployment_uid(resource),
                "annotations": annotations,
            },
            "spec": {
                "replicas": spec.get("replicas", 1) if spec.get("enabled", True) else 0,
                "selector": {"matchLabels": selector_labels(meta["name"])},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
                "template": shown_template,
            },
            "status": _status(resource),
        }

    def holder(self, key: ObjectKey) -> Iterable[ObjectKey]:
        return (SERVICE.key(key.name, key.namespace),)

    def back(self, resource: Body, shown: Body, wanted: Body) -> Body:
        spec, meta = wanted.get("spec") or {}, wanted.get("metadata") or {}
        if (spec.get("selector") or {}) != shown["spec"]["selector"]:
            cause = Cause("spec.selector", f"is always {SERVICE_LABEL}, and cannot be changed")
            raise Invalid(f"the deployment is invalid: {cause.field}: {cause.message}", causes=(cause,))
        changed = resource
        if spec.get("template") != shown["spec"]["template"]:
            changed = with_template(resource, spec.get("template") or {})
        if spec.get("replicas") != shown["spec"]["replicas"]:
            changed = {**changed, "spec": {**changed["spec"], "replicas": spec.get("replicas", 1)}}
        return _with_metadata(changed, shown, meta)


def deployment_uid(service: Body) -> str:
    """The uid of the deployment that shows this service."""
    return shown_uid(service["metadata"]["uid"], "deployment")


def _with_metadata(service: Body, shown: Body, meta: Body) -> Body:
    kept = dict(service["metadata"])
    if meta.get("labels") != shown["metadata"].get("labels"):
        kept["labels"] = meta.get("labels") or {}
    if (meta.get("annotations") or {}) != shown["metadata"]["annotations"]:
        restarted = {n: v for n, v in (kept.get("annotations") or {}).items() if n == RESTARTED_AT}
        unkept = (REVISION, KUBECTL_RESTARTED_AT)
        given = {n: v for n, v in (meta.get("annotations") or {}).items() if n not in unkept}
        kept["annotations"] = {**given_annotations(service, given), **restarted}
    return {**service, "metadata": kept}


def _status(service: Body) -> Body:
    status, spec = service.get("status") or {}, service["spec"]
    instances = status.get("instances") or ()
    updated = sum(_is_updated(service, each) for each in instances)
    ready = status.get("readyReplicas", 0)
    wanted = spec.get("replicas", 1) if spec.get("enabled", True) else 0
    available = "True" if ready >= wanted else "False"
    reason: Body = next((each for each in status.get("conditions") or () if each["type"] == ConditionType.READY), {})
    told = {"reason": reason.get("reason", ""), "message": reason.get("message", "")}
    return {
        "observedGeneration": status.get("observedGeneration", 0),
        "replicas": status.get("replicas", 0),
        "updatedReplicas": updated,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": max(wanted - ready, 0),
        "conditions": [
            {"type": "Available", "status": available, **told},
            {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "message": ""},
        ],
    }


def _is_updated(service: Body, instance: Body) -> bool:
    """A copy that began before the restart that was asked for is still the old one, whatever its revision says."""
    if instance.get("revision") != (service.get("status") or {}).get("revision"):
        return False
    restarted = (service["metadata"].get("annotations") or {}).get(RESTARTED_AT)
    started = instance.get("startedAt")
    if not restarted or not started:
        return not restarted
    try:
        asked = datetime.fromisoformat(restarted).replace(microsecond=0)
        return asked.tzinfo is None or datetime.fromisoformat(started) >= asked
    except ValueError:
        return True
