"""Service: what should run. One of our managed services, or any container."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from crds.kind import Column, Kind, Resource
from crds.kinds.worker import Amounts
from crds.meta import Spec, Status
from crds.model import Model, Timestamp
from crds.names import DnsLabel
from crds.probes import Probes
from crds.schema import list_map


class EnvVar(Model):
    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    value: str = ""


class ResourceLimits(Model):
    """`requests` is what placement reserves; `limits` is what the runtime enforces where it can."""

    requests: Amounts = Field(default_factory=Amounts)
    limits: Amounts = Field(default_factory=Amounts)


class Toleration(Model):
    """Lets a service onto workers with a matching taint. An empty key tolerates every taint."""

    key: str = ""
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""


class Placement(Model):
    """`workerSelector` labels a worker must carry; `tolerations` lets it onto tainted ones."""

    worker_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: list[Toleration] = Field(default_factory=list)


class ServiceSpec(Spec):
    """Exactly one of `managed` (a folder under services/) or `image` (any container) must be given."""

    managed: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    image: str | None = None
    command: list[str] = Field(default_factory=list)
    enabled: bool = True
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    env: list[EnvVar] = Field(default_factory=list, json_schema_extra=list_map("name"))
    needs: list[DnsLabel] = Field(default_factory=list)
    resources: ResourceLimits = Field(default_factory=ResourceLimits)
    placement: Placement = Field(default_factory=Placement)
    probes: Probes | None = None
    stop_grace_seconds: Annotated[float, Field(ge=0, le=3600)] = 10

    @model_validator(mode="after")
    def _runs_one_thing(self) -> ServiceSpec:
        if (self.managed is None) == (self.image is None):
            raise ValueError("give exactly one of managed (one of our services) or image (a container)")
        return self


class Instance(Model):
    """One running copy, as the runtime sees it."""

    name: str
    worker: str = ""
    address: str = ""
    ready: bool = False
    phase: str = "Pending"
    restarts: int = 0
    started_at: Timestamp | None = None
    revision: str = ""
    message: str = ""


class Refusal(Model):
    """Why placement did not choose a worker."""

    worker: str
    reason: str


class ServiceStatus(Status):
    phase: str = "Pending"
    replicas: int = 0
    ready_replicas: int = 0
    updated_replicas: int = 0
    ready: str = "0/0"
    revision: str = ""
    instances: list[Instance] = Field(default_factory=list, json_schema_extra=list_map("name"))
    refusals: list[Refusal] = Field(default_factory=list)


class Service(Resource[ServiceSpec, ServiceStatus]):
    spec: ServiceSpec
    status: ServiceStatus = Field(default_factory=ServiceStatus)


SERVICE = Kind(
    name="Service",
    plural="services",
    singular="service",
    short_names=("asvc",),
    categories=("all", "aerekos"),
    model=Service,
    scale_path="spec.replicas",
    description="What should run: one of the managed services, or any container.",
    selectable=("status.phase", "spec.managed"),
    columns=(
        Column("Name", "metadata.name"),
        Column("Ready", "status.ready"),
        Column("Status", "status.phase"),
        Column("Managed", "spec.managed", priority=1),
        Column("Image", "spec.image", priority=1),
        Column("Restarts", "status.instances[0].restarts", type="integer"),
        Column("Why", "status.conditions[0].message", priority=1),
        Column("Age", "metadata.creationTimestamp", type="date"),
    ),
)
