"""The part of a Service that describes one instance, as a pod template, and back."""

from __future__ import annotations

from typing import Any

from api.kube.views.view import Body
from crds.errors import Cause, Invalid
from crds.kinds.service import SERVICE_LABEL

RESTARTED_AT = "aerekos.cloud/restartedAt"
KUBECTL_RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
_MANAGED, _PROGRAM, _ENGINE = "managed/", "program/", "engine/"
_AMOUNTS = {"cpu": "cpu", "memory": "memory", "ephemeral-storage": "disk"}


def selector_labels(service: str) -> dict[str, str]:
    """What every instance of that service carries, and nothing else does."""
    return {SERVICE_LABEL: service}


def image_of(spec: Body) -> str:
    """The image; what has none is called `managed/<name>`, `engine/<name>` or `program/<name of the command>`."""
    if engine := spec.get("engine"):
        return f"{_ENGINE}{engine.get('name', '')}"
    if spec.get("image") or spec.get("managed"):
        return spec.get("image") or f"{_MANAGED}{str(spec['managed']).replace('_', '-')}"
    return f"{_PROGRAM}{str((spec.get('command') or [''])[0]).rpartition('/')[2]}"


def container(service: Body) -> Body:
    """The one container of each instance."""
    spec = service["spec"]
    shown: Body = {
        "name": service["metadata"]["name"],
        "image": image_of(spec),
        "env": [_shown_env(each) for each in spec.get("env") or ()],
        "resources": {
            name: amounts
            for name in ("requests", "limits")
            if (amounts := _shown_amounts((spec.get("resources") or {}).get(name) or {}))
        },
    }
    for name in ("command", "args"):
        if spec.get(name):
            shown[name] = list(spec[name])
    return shown


def template(service: Body) -> Body:
    """The pod template."""
    meta = service["metadata"]
    labels = {**(meta.get("labels") or {}), **selector_labels(meta["name"])}
    shown: Body = {"metadata": {"labels": labels}, "spec": {"containers": [container(service)]}}
    if restarted := (meta.get("annotations") or {}).get(RESTARTED_AT):
        shown["metadata"]["annotations"] = {KUBECTL_RESTARTED_AT: restarted}
    return shown


def with_template(service: Body, wanted: Body) -> Body:
    """The service whose instances look like `wanted`. Raises Invalid for what a service cannot be."""
    containers = (wanted.get("spec") or {}).get("containers") or []
    if len(containers) != 1:
        raise _invalid("spec.template.spec.containers", "a service has exactly one container")
    annotations = dict(service["metadata"].get("annotations") or {})
    restarted = ((wanted.get("metadata") or {}).get("annotations") or {}).get(KUBECTL_RESTARTED_AT)
    if restarted:
        annotations[RESTARTED_AT] = restarted
    meta = {**service["metadata"], **({"annotations": annotations} if annotations else {})}
    return {**service, "metadata": meta, "spec": _with_container(service["spec"], containers[0])}


def _with_container(spec: Body, wanted: Body) -> Body:
    changed = dict(spec)
    image = wanted.get("image")
    if image != image_of(spec):
        if spec.get("managed"):
            raise _invalid("spec.template.spec.containers[0].image", "a managed service has no image to set")
        if not spec.get("image"):
            text = "a program has no image to set; set spec.image of the Service to make it a container"
            raise _invalid("spec.template.spec.containers[0].image", text)
        changed["image"] = image
    changed["env"] = [_env(each) for each in wanted.get("env") or ()]
    for name in ("command", "args"):
        if wanted.get(name) or spec.get(name):
            changed[name] = list(wanted.get(name) or ())
    resources = wanted.get("resources") or {}
    changed["resources"] = {
        name: {**((spec.get("resources") or {}).get(name) or {}), **_kept_amounts(resources.get(name) or {})}
        for name in ("requests", "limits")
    }
    return changed


def _shown_env(variable: Body) -> Body:
    source = variable.get("valueFrom")
    return {"name": variable["name"], **({"valueFrom": source} if source else {"value": variable.get("value", "")})}


def _env(variable: Any) -> Body:
    """Sources of a Service are those of a container; one it does not know is refused by its schema, by name."""
    if not isinstance(variable, dict) or not isinstance(variable.get("valueFrom") or {}, dict):
        raise _invalid("spec.template.spec.containers[0].env", "a variable is an object with a value or valueFrom")
    kept: Body = {"name": variable.get("name"), "value": variable.get("value") or ""}
    if source := variable.get("valueFrom"):
        if unknown := sorted(source.keys() - {"secretKeyRef", "configMapKeyRef"}):
            text = f"only secretKeyRef and configMapKeyRef can be used here, not {', '.join(unknown)}"
            raise _invalid("spec.template.spec.containers[0].env.valueFrom", text)
        kept["valueFrom"] = source
    return kept


def _shown_amounts(amounts: Body) -> Body:
    return {name: amounts[ours] for name, ours in _AMOUNTS.items() if amounts.get(ours, "0") != "0"}


def _kept_amounts(amounts: Body) -> Body:
    return {ours: str(amounts.get(name, "0")) for name, ours in _AMOUNTS.items()}


def _invalid(field: str, message: str) -> Invalid:
    return Invalid(f"the deployment is invalid: {field}: {message}", causes=(Cause(field, message),))
