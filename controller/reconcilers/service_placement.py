"""Service and Workers → a placement request and its candidates. Reads only what the loop has already seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from controller.reconcile.reconciler import Lister
from controller.runtime.driver import ObservedInstance
from controller.scheduler.candidate import Candidate, Needs, Request
from controller.scheduler.placing import PlacementDecision, place
from crds.conditions import ConditionType
from crds.kinds.service import SERVICE, Service
from crds.kinds.worker import WORKER, Worker
from crds.meta import is_true


def request_of(
    service: Service, reach: frozenset[str] | None, *, stays: bool = False, shares_data: bool = False
) -> Request:
    """The placement request of one replica. `stays`: it runs where its data is, once there is enough of that for
    every replica. `shares_data`: all replicas have one folder, so each runs where that is.

    Data on a machine out of the runtime's reach has moved to this one, with the whole home.
    """
    home = frozenset(service.status.data_on) if stays else frozenset()
    home = home if reach is None else home & reach
    return Request(
        name=f"{service.metadata.namespace or 'default'}/{service.metadata.name}",
        needs=Needs.of(service.spec.resources.requests),
        labels=service.spec.placement.worker_selector,
        tolerations=tuple(service.spec.placement.tolerations),
        reach=reach,
        data_on=home if shares_data or len(home) >= service.spec.replicas else frozenset(),
    )


def decide(service: Service, seen: Lister, request: Request) -> PlacementDecision:
    """Place `service` among the workers as they are now. Its own copies do not count against it."""
    others = [each for each in seen.list(SERVICE) if each.metadata.uid != service.metadata.uid]
    reserved = _reserved(others)
    copies = _copies(service)
    workers = [
        _candidate(each, reserved[each.metadata.name], copies[each.metadata.name]) for each in seen.list(WORKER)
    ]
    return place(request, workers)


def note_data(service: Service, seen: Sequence[ObservedInstance], workers: Lister) -> None:
    """Every worker on which a copy has been ready keeps data, until that worker itself is gone for good."""
    here = {each.worker for each in seen if each.ready and each.worker}
    known = {each.metadata.name for each in workers.list(WORKER)}
    service.status.data_on = sorted({*here, *service.status.data_on} & known)


def _candidate(worker: Worker, reserved: Needs, replicas: int) -> Candidate:
    capacity = Needs.of(worker.status.capacity)
    # Only reservations count, as in Kubernetes: measured usage includes our own copies, and a busy minute
    # must not make a running service unplaceable.
    return Candidate(
        name=worker.metadata.name,
        ready=is_true(worker.status.conditions, ConditionType.READY),
        cordoned=worker.spec.unschedulable,
        taints=tuple(worker.spec.taints),
        labels=worker.metadata.labels or {},
        capacity=capacity,
        free=reserved.left_of(capacity),
        replicas=replicas,
    )


def _reserved(services: Iterable[Service]) -> defaultdict[str, Needs]:
    """What each worker has promised already: the requests of every instance that is there."""
    taken: defaultdict[str, Needs] = defaultdict(Needs)
    for service in services:
        needs = Needs.of(service.spec.resources.requests)
        for instance in service.status.instances:
            taken[instance.worker] = taken[instance.worker] + needs
    return taken


def _copies(service: Service) -> defaultdict[str, int]:
    counts: defaultdict[str, int] = defaultdict(int)
    for instance in service.status.instances:
        counts[instance.worker] += 1
    return counts
