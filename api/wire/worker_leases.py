"""Leases as they are read: those of operators that elect a leader, and, read only, one for each worker that beats.

As in Kubernetes these are in `kube-node-lease`, where `kubectl describe node` looks. They come from memory: a beat
writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import orjson

from api.wire.beside import Beside
from api.wire.views.view import shown_uid
from controller.kit.clock import Clock
from controller.kit.leases import LEASE_SECONDS, Leases
from controller.resources.registry import Registry
from controller.store.records import Record
from crds.kinds.lease import LEASE
from crds.model import rfc3339, rfc3339_micro

WORKER_LEASES = "kube-node-lease"


class WorkerLeases(Beside):
    """A worker's lease was renewed by its last beat; one that was lost still says when."""

    def __init__(self, registry: Registry, leases: Leases, clock: Clock) -> None:
        super().__init__(registry)
        self._leases, self._clock, self._began = leases, clock, clock.now()

    def others(self, namespace: str | None) -> Iterator[Record]:
        if namespace not in (None, WORKER_LEASES):
            return
        now = self._clock.now()
        for lease in self._leases.snapshot():
            age = self._leases.age(lease.worker) or 0.0
            yield self._record(lease.worker, now - timedelta(seconds=age))

    def _record(self, worker: str, renewed: datetime) -> Record:
        uid, revision = shown_uid("lease", worker), self.revision
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
