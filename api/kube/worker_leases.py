"""Leases as they are read: those of operators that elect a leader, and, read only, one for each worker that beats.

As in Kubernetes these are in `kube-node-lease`, where `kubectl describe node` looks. They come from memory: a beat
writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import orjson

from api.kube.views.view import shown_uid
from api.kube.virtual import StorageWithVirtualObjects
from controller.kit.clock import Clock
from controller.kit.leases import LEASE_SECONDS, HeartbeatLease, Leases
from controller.resources.registry import Registry
from controller.store.records import Record
from crds.kinds.lease import LEASE
from crds.meta import ObjectKey
from crds.model import rfc3339, rfc3339_micro

WORKER_LEASES = "kube-node-lease"


class WorkerLeases(StorageWithVirtualObjects):
    """A worker's lease was renewed by its last beat; one that was lost still says when."""

    def __init__(self, registry: Registry, leases: Leases, clock: Clock) -> None:
        super().__init__(registry)
        self._leases, self._clock, self._began = leases, clock, clock.now()

    def other(self, key: ObjectKey) -> Record | None:
        lease = self._leases.get(key.name) if key.namespace == WORKER_LEASES else None
        return None if lease is None else self._record(lease)

    def others(self, namespace: str | None) -> Iterable[Record]:
        return map(self._record, self._leases.snapshot()) if namespace in (None, WORKER_LEASES) else ()

    def _record(self, lease: HeartbeatLease) -> Record:
        worker, revision = lease.worker, self.revision
        uid = shown_uid("lease", worker)
        renewed = self._clock.now() - timedelta(seconds=self._clock.monotonic() - lease.heard_at)
        body: dict[str, Any] = {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.name,
            "metadata": {
                "name": worker,
                "namespace": WORKER_LEASES,
                "uid": uid,
                "resourceVersion": str(revision),
                "generation": 1,
                "creationTimestamp": rfc3339(self._began),
            },
            "spec": {
                "holderIdentity": worker,
                "leaseDurationSeconds": math.ceil(LEASE_SECONDS),
                "renewTime": rfc3339_micro(renewed),
            },
        }
        key = LEASE.key(worker, WORKER_LEASES)
        return Record(revision, key, uid, "updated", 1, orjson.dumps(body), 0, renewed, worker, values=body)
