"""Kinds that Kubernetes always has and this cloud never holds any of: lists of them are empty.

Clients ask for them without being told to (`kubectl apply --prune`, controllers that watch what they might own) and
stop when they are unknown. Whoever would make one hears what to make instead.
"""

from __future__ import annotations

from typing import Any

from api.kube.views.schemas import thing
from api.kube.views.view import ViewObject
from crds.kind import READ_VERBS, Column, Kind

_RUN = "make a Service of aerekos.cloud/v1"
_KEEP = "a Service keeps its data by itself; make a Service of aerekos.cloud/v1"
_REACH = "services are reached through the gateway, /services/<name>/"


def _kind(name: str, group: str, *short_names: str, plural: str = "", namespaced: bool = True) -> Kind[Any]:
    return Kind(
        name=name,
        plural=plural or f"{name.lower()}s",
        group=group,
        singular=name.lower(),
        short_names=short_names,
        namespaced=namespaced,
        model=ViewObject,
        verbs=READ_VERBS,
        has_status=False,
        description="There is never one of these in this cloud.",
        given_schema=thing(spec=thing(), status=thing()),
        columns=(Column("Name", "metadata.name"), Column("Age", "metadata.creationTimestamp", type="date")),
    )


_WITH_ADVICE = (
    (_kind("PersistentVolumeClaim", "", "pvc"), _KEEP),
    (_kind("PersistentVolume", "", "pv", namespaced=False), _KEEP),
    (_kind("ReplicationController", "", "rc"), _RUN),
    (_kind("DaemonSet", "apps", "ds"), _RUN),
    (_kind("StatefulSet", "apps", "sts"), _RUN),
    (_kind("Job", "batch"), _RUN),
    (_kind("CronJob", "batch", "cj"), _RUN),
    (_kind("Ingress", "networking.k8s.io", "ing", plural="ingresses"), _REACH),
)
ABSENT: tuple[Kind[Any], ...] = tuple(kind for kind, _ in _WITH_ADVICE)
ADVICE = {(kind.group, kind.plural): advice for kind, advice in _WITH_ADVICE}
