"""Worker: a machine that runs services. Its agent registers it and keeps its lease alive."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from crds.kind import Column, Kind, Resource
from crds.meta import Spec, Status
from crds.model import Model, Timestamp
from crds.phases import WorkerPhase
from crds.protecting import keeps_a_worker
from crds.quantity import Quantity


class Taint(Model):
    """Keeps services away that do not tolerate it (Kubernetes node taint)."""

    key: str
    value: str = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"


class WorkerSpec(Spec):
    """`unschedulable` is what `kubectl cordon` sets: nothing new is placed here, what runs stays."""

    unschedulable: bool = False
    taints: list[Taint] = Field(default_factory=list)


class Amounts(Model):
    """CPU in cores, memory and disk in bytes, as quantities."""

    cpu: Quantity = "0"
    memory: Quantity = "0"
    disk: Quantity = "0"


class Address(Model):
    """`InternalIP` or `Hostname`, as Kubernetes node addresses."""

    type: Literal["InternalIP", "Hostname"] = "InternalIP"
    address: str


class SystemInfo(Model):
    operating_system: str = ""
    architecture: str = ""
    kernel_version: str = ""
    os_image: str = ""
    agent_version: str = ""
    boot_id: str = ""
    machine_id: str = ""


class WorkerStatus(Status):
    """`usage` is coarse (written when it moved by a tenth); live numbers come with the heartbeat.

    `identityAddress`: by which the Swarm knows it. As long as this record is there, nobody else is known by it.
    """

    capacity: Amounts = Field(default_factory=Amounts)
    usage: Amounts = Field(default_factory=Amounts)
    addresses: list[Address] = Field(default_factory=list)
    system: SystemInfo = Field(default_factory=SystemInfo)
    identity_address: str = ""
    last_registered_at: Timestamp | None = None
    phase: str = WorkerPhase.UNKNOWN


class Worker(Resource[WorkerSpec, WorkerStatus]):
    spec: WorkerSpec = Field(default_factory=WorkerSpec)
    status: WorkerStatus = Field(default_factory=WorkerStatus)


WORKER = Kind(
    name="Worker",
    plural="workers",
    singular="worker",
    short_names=("wk",),
    categories=("all", "aerekos"),
    namespaced=False,
    model=Worker,
    description="A machine that runs services. Its agent registers it and keeps a heartbeat.",
    invariants=(keeps_a_worker,),
    selectable=("status.phase", "spec.unschedulable"),
    columns=(
        Column("Name", "metadata.name"),
        Column("Status", "status.phase"),
        Column("CPU", "status.capacity.cpu"),
        Column("Memory", "status.capacity.memory", type="bytes"),
        Column("Disk", "status.capacity.disk", type="bytes"),
        Column("CPU Used", "status.usage.cpu", priority=1),
        Column("Memory Used", "status.usage.memory", type="bytes", priority=1),
        Column("Disk Used", "status.usage.disk", type="bytes", priority=1),
        Column("Address", "status.addresses[0].address", priority=1),
        Column("Age", "metadata.creationTimestamp", type="date"),
    ),
)
