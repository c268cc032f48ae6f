"""CPU and memory of workers' heartbeats, as metrics.k8s.io/v1beta1: for `top`. From memory, never stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson

from api.kube.views.pods import Pods, instance_of
from api.kube.views.view import Body, ViewObject
from controller.kit.clock import Clock
from controller.kit.leases import BEAT_PERIOD, HeartbeatLease, Leases
from controller.store.records import Record, Store
from crds.kind import Column, Kind
from crds.kinds.service import SERVICE
from crds.model import rfc3339

_GROUP, _VERSION = "metrics.k8s.io", "v1beta1"


def _kind(name: str, plural: str, *, namespaced: bool) -> Kind[Any]:
    return Kind(
        name=name,
        plural=plural,
        group=_GROUP,
        version=_VERSION,
        namespaced=namespaced,
        model=ViewObject,
        verbs=("get", "list"),
        has_status=False,
        description="What is used right now.",
        given_schema={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        columns=(Column("Name", "metadata.name"), Column("CPU", "usage.cpu"), Column("Memory", "usage.memory")),
    )


NODE_METRICS = _kind("NodeMetrics", "nodes", namespaced=False)
POD_METRICS = _kind("PodMetrics", "pods", namespaced=True)


class Metrics:
    """metrics.k8s.io for nodes or pods with a live heartbeat."""

    def __init__(self, kind: Kind[Any], store: Store, leases: Leases, pods: Pods, clock: Clock) -> None:
        self.kind, self._store, self._leases, self._pods, self._clock = kind, store, leases, pods, clock

    async def records(self, namespace: str | None) -> Sequence[Record]:
        now = self._clock.now()
        leases = [each for each in self._leases.snapshot() if self._leases.expires_in(each.worker) > 0]
        bodies = _nodes(leases, now) if self.kind is NODE_METRICS else self._of_pods(leases, namespace, now)
        return [_record(self.kind, body, self._store.revision, now) for body in bodies]

    def _of_pods(self, leases: Iterable[HeartbeatLease], namespace: str | None, now: datetime) -> list[Body]:
        used = {name: usage for lease in leases for name, usage in lease.services.items()}
        services = self._store.list(SERVICE.group, SERVICE.plural, namespace).records
        return [
            _pod(pod, used[pod["metadata"]["name"]], now)
            for record in services
            for pod in self._pods.show(record.object)
            if pod["metadata"]["name"] in used and instance_of(record.object, pod["metadata"]["name"])
        ]


def _nodes(leases: Iterable[HeartbeatLease], now: datetime) -> list[Body]:
    return [
        {**_head({"name": lease.worker}, now), "usage": _usage(lease.usage.cpu, lease.usage.memory)}
        for lease in leases
    ]


def _pod(pod: Body, used: Any, now: datetime) -> Body:
    meta = {name: pod["metadata"][name] for name in ("name", "namespace", "labels")}
    usage = _usage(used.get("cpu", 0), used.get("memory", 0))
    return {**_head(meta, now), "containers": [{"name": pod["spec"]["containers"][0]["name"], "usage": usage}]}


def _head(meta: Body, now: datetime) -> Body:
    return {"metadata": meta, "timestamp": rfc3339(now), "window": f"{BEAT_PERIOD:g}s"}


def _usage(cpu: float, memory: float) -> Body:
    return {"cpu": f"{round(cpu * 1000)}m", "memory": f"{int(memory) // 1024}Ki"}


def _record(kind: Kind[Any], body: Body, revision: int, now: datetime) -> Record:
    whole = {"apiVersion": kind.api_version, "kind": kind.name, **body}
    key = kind.key(body["metadata"]["name"], body["metadata"].get("namespace"))
    return Record(revision, key, "", "updated", 0, orjson.dumps(whole), 0, now, "", values=whole)
