"""ResourceQuota: what a namespace may hold, counted when something is written.

Writes wait for the disk, and others are judged meanwhile: what was granted is held until its write is over, so two
that come at once do not both get the last place. Nothing is counted twice: a held object stands for its stored one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from decimal import Decimal
from typing import Any

from controller.admission.request import AdmissionRequest
from controller.admission.usage import Usage, copies_of, shown, usage_of
from controller.store.records import Store
from crds.catalog import Catalog
from crds.kind import Kind
from crds.kinds.quota import COMPUTE, COUNT, NODE_PORTS, OBJECTS, PODS, RESOURCE_QUOTA, canonical, counted_kind
from crds.kinds.service import SERVICE
from crds.kinds.worker import WORKER
from crds.meta import ObjectKey
from crds.quantity import parse_quantity

NOTHING = Decimal(0)
DEFAULT_MOST = 2000
DEFAULT_MOST_OF = {"services.aerekos.cloud": 250, "namespaces": 250}
"""Objects of one kind in a namespace without a quota for them, for those who may not lift limits."""


class Quotas:
    """Judges writes, and says how much is used."""

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._store, self._catalog = store, catalog
        self._held: dict[ObjectKey, list[Usage]] = {}

    def reserved(self, request: AdmissionRequest) -> AbstractContextManager[None]:
        """Raises Forbidden for what goes over a quota. To be entered at once: nothing is held before."""
        wanted = self._wanted(request)
        return nullcontext() if wanted is None else self._holding(request.key, wanted)

    @contextmanager
    def _holding(self, key: ObjectKey, wanted: Usage) -> Iterator[None]:
        held = self._held.setdefault(key, [])
        held.append(wanted)
        try:
            yield
        finally:
            held.remove(wanted)
            if not held:
                self._held.pop(key, None)

    def used(self, namespace: str, resource: str) -> Decimal:
        """The usage of that resource now."""
        kind = self._kind_of(canonical(resource))
        return self._total(kind, namespace, canonical(resource), None) if kind else NOTHING

    def _wanted(self, request: AdmissionRequest) -> Usage | None:
        """What it will use; None when nobody counts."""
        if request.new is None or request.subresource or request.operation not in ("CREATE", "UPDATE"):
            return None
        kind, key = request.kind, request.key
        quotas = self._quotas(key.namespace) if kind.namespaced else []
        if not quotas and request.operation == "UPDATE":
            return None
        now = usage_of(kind, request.new, self._workers())
        before = usage_of(kind, request.old, self._workers()) if request.old is not None else {}
        more = {name for name, value in now.items() if value > before.get(name, NOTHING)}
        for name, hard in quotas:
            self._check(request, name, hard, now, more)
        counted = any(_counts(hard, kind) for _, hard in quotas)
        if request.operation == "CREATE" and not counted:
            self._check_default(request)
        return now

    def _check(
        self, request: AdmissionRequest, quota: str, hard: Mapping[str, Decimal], now: Usage, more: set[str]
    ) -> None:
        if request.kind is SERVICE and request.new is not None:
            _check_said(request, quota, hard, now, self._workers())
        over: dict[str, Decimal] = {}
        for resource in sorted(more & hard.keys()):
            others = self._total(request.kind, request.key.namespace, resource, request.key)
            if others + now[resource] > hard[resource]:
                over[resource] = others
        if over:
            requested, limited = _amounts(over, now), _amounts(over, hard)
            raise request.refused(
                f"exceeded quota: {quota}, requested: {requested}, used: {_amounts(over, over)}, limited: {limited}"
            )

    def _check_default(self, request: AdmissionRequest) -> None:
        kind, user = request.kind, request.user
        most = DEFAULT_MOST_OF.get(kind.resource, DEFAULT_MOST)
        name = f"{COUNT}{kind.resource}"
        if self._count(kind, request.key) < most or user.of_the_house or user.may_lift_limits:
            return
        raise request.refused(
            f"exceeded quota: default, requested: {name}=1, used: {name}={most}, limited: {name}={most}; "
            "an admin can give this namespace a ResourceQuota of its own"
        )

    def _count(self, kind: Kind[Any], key: ObjectKey) -> int:
        stored = self._store.list(kind.group, kind.plural, key.namespace if kind.namespaced else None).records
        coming = sum(each[:3] == key[:3] and each != key and self._store.get(each) is None for each in self._held)
        return len(stored) + coming

    def _total(self, kind: Kind[Any], namespace: str, resource: str, but: ObjectKey | None) -> Decimal:
        """Stored or granted, whichever is more, of every object but one."""
        workers, total = self._workers(), NOTHING
        known = set()
        for record in self._store.list(kind.group, kind.plural, namespace).records:
            if record.key == but:
                continue
            known.add(record.key)
            amounts = [usage_of(kind, record.object, workers), *self._held.get(record.key, ())]
            total += max(each.get(resource, NOTHING) for each in amounts)
        for key, held in self._held.items():
            if key != but and key not in known and key[:3] == (kind.group, kind.plural, namespace):
                total += max(each.get(resource, NOTHING) for each in held)
        return total

    def _quotas(self, namespace: str) -> list[tuple[str, dict[str, Decimal]]]:
        records = self._store.list(RESOURCE_QUOTA.group, RESOURCE_QUOTA.plural, namespace).records
        return [
            (
                record.key.name,
                {canonical(n): parse_quantity(q) for n, q in (record.object["spec"].get("hard") or {}).items()},
            )
            for record in records
        ]

    def _workers(self) -> int:
        return len(self._store.list(WORKER.group, WORKER.plural).records)

    def _kind_of(self, resource: str) -> Kind[Any] | None:
        if resource in (*COMPUTE, PODS, NODE_PORTS):
            return SERVICE
        plural, _, group = counted_kind(resource).partition(".")
        return self._catalog.find(group, plural)


def _amounts(names: Iterable[str], amounts: Mapping[str, Decimal]) -> str:
    return ",".join(f"{name}={shown(name, amounts[name])}" for name in names)


def _counts(hard: Mapping[str, Decimal], kind: Kind[Any]) -> bool:
    return f"{COUNT}{kind.resource}" in hard or any(
        counted == kind.resource and resource in hard for resource, counted in OBJECTS.items()
    )


def _check_said(request: AdmissionRequest, quota: str, hard: Mapping[str, Decimal], now: Usage, workers: int) -> None:
    """Where CPU or memory is counted, everybody must say how much they want."""
    spec = (request.new or {}).get("spec") or {}
    if spec.get("managed") or not copies_of(spec, workers):
        return
    missing = [each for each in COMPUTE if each in hard and not now[each]]
    if missing:
        raise request.refused(f"failed quota: {quota}: must specify {','.join(missing)} for: {request.key.name}")
