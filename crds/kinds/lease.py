"""Lease: who leads for now (Kubernetes coordination.k8s.io/v1 Lease). For operators that elect a leader."""

from __future__ import annotations

from pydantic import Field

from crds.kind import Column, Kind, KubeObject
from crds.kinds.data_rules import keeps_lease_numbers
from crds.meta import Spec
from crds.model import MicroTimestamp


class LeaseSpec(Spec):
    """The holder renews before `leaseDurationSeconds` are over; others may take it after."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: MicroTimestamp | None = None
    renew_time: MicroTimestamp | None = None
    lease_transitions: int | None = None
    strategy: str | None = None
    preferred_holder: str | None = None


class Lease(KubeObject):
    spec: LeaseSpec = Field(default_factory=LeaseSpec)


LEASE = Kind(
    name="Lease",
    plural="leases",
    group="coordination.k8s.io",
    singular="lease",
    has_status=False,
    model=Lease,
    rules=(keeps_lease_numbers,),
    description="Who leads for now.",
    columns=(
        Column("Name", "metadata.name"),
        Column("Holder", "spec.holderIdentity"),
        Column("Age", "metadata.creationTimestamp", type="date"),
    ),
)
