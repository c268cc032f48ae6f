"""Earlier revisions of a service, shown as apps/v1 replica sets: for `rollout history` and `rollout undo`.

Read from the kept history of the service; older than that is forgotten, and the numbers begin again there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from api.kube.views.deployments import REVISION, deployment_uid
from api.kube.views.pod_template import selector_labels, template
from api.kube.views.view import Body, ViewObject, shown_uid
from controller.store.records import Record, Store
from crds.kind import Column, Kind
from crds.kinds.service import SERVICE
from crds.schema import ANYTHING

CHANGE_CAUSE = "kubernetes.io/change-cause"
REPLICA_SET: Kind[Any] = Kind(
    name="ReplicaSet",
    plural="replicasets",
    group="apps",
    singular="replicaset",
    short_names=("rs",),
    model=ViewObject,
    verbs=("get", "list"),
    has_status=False,
    description="A service as it is or once was. For rollout history and undo.",
    given_schema={"type": "object", "properties": {"spec": dict(ANYTHING), "status": dict(ANYTHING)}},
    columns=(
        Column("Name", "metadata.name"),
        Column("Desired", "spec.replicas", type="integer"),
        Column("Revision", "", read=lambda each: each["metadata"]["annotations"][REVISION]),
        Column("Age", "metadata.creationTimestamp", type="date"),
    ),
)


class ReplicaSets:
    """Computed from history at every question."""

    kind = REPLICA_SET

    def __init__(self, store: Store) -> None:
        self._store = store

    async def records(self, namespace: str | None) -> Sequence[Record]:
        """Every kept template of every service."""
        services = self._store.list(SERVICE.group, SERVICE.plural, namespace).records
        return [each for service in services for each in await self._of(service)]

    async def _of(self, service: Record) -> list[Record]:
        kept = [each for each in await self._store.history(service.key) if each.uid == service.uid]
        numbered: dict[bytes, tuple[int, Record]] = {}
        causes: dict[bytes, str] = {}
        last = b""
        for record in kept:
            text = _template_text(record)
            if text != last:  # a template that comes back is the newest again, as Kubernetes counts
                numbered[text] = (max([number for number, _ in numbered.values()], default=0) + 1, record)
            last = text
            # The cause is told afterwards, with `kubectl annotate`: the last word about a template counts.
            causes[text] = (record.object["metadata"].get("annotations") or {}).get(CHANGE_CAUSE, "")
        return [
            _shown(record, number, text, causes[text], service if text == last else None)
            for text, (number, record) in numbered.items()
        ]


def _template_text(record: Record) -> bytes:
    shown = template(record.object)
    shown["metadata"]["labels"] = {}
    return orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)


def _shown(record: Record, number: int, text: bytes, cause: str, current: Record | None) -> Record:
    service, meta = record.object, record.object["metadata"]
    digest = hashlib.sha256(text).hexdigest()[:10]
    labels = {**selector_labels(meta["name"]), "pod-template-hash": digest}
    described = template(service)
    described["metadata"]["labels"] = labels
    annotations = {REVISION: str(number)}
    if cause:
        annotations[CHANGE_CAUSE] = cause
    replicas = current.object["spec"].get("replicas", 1) if current else 0
    name = f"{meta['name']}-{digest}"
    uid = shown_uid(meta["uid"], digest)
    body: Body = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            "uid": uid,
            "resourceVersion": str(record.revision),
            "creationTimestamp": record.written_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "name": meta["name"],
                    "uid": deployment_uid(service),
                    "controller": True,
                }
            ],
        },
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": described},
        "status": {"replicas": replicas},
    }
    key = REPLICA_SET.key(name, meta["namespace"])
    return replace(record, key=key, uid=uid, body=orjson.dumps(body), values=body)
