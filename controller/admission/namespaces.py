"""Namespaces: the first ones stay, and only who may lift limits changes what a namespace allows to run."""

from __future__ import annotations

from controller.admission.request import AdmissionRequest
from crds.kinds.namespace import NAMESPACE
from crds.protecting import OURS

GUARDED = ("pod-security.kubernetes.io/",)


class Namespaces:
    """NamespaceLifecycle, as far as the registry does not know it, and the labels that lift limits."""

    def validate(self, request: AdmissionRequest) -> list[str]:
        if request.kind is not NAMESPACE:
            return []
        if request.operation == "DELETE" and request.key.name in OURS:
            raise request.refused("this namespace may not be deleted")
        changed = _guarded(request.old) != _guarded(request.new)
        if request.new is not None and changed and not request.user.may_lift_limits:
            raise request.refused(
                f'labels of {GUARDED[0]} decide what may run here: User "{request.user.name}" cannot escalate '
                'resource "namespaces" in API group "" at the cluster scope'
            )
        return []


def _guarded(namespace: dict[str, object] | None) -> dict[str, str]:
    meta = (namespace or {}).get("metadata") or {}
    labels = (meta.get("labels") if isinstance(meta, dict) else None) or {}
    return {name: value for name, value in labels.items() if name.startswith(GUARDED)}
