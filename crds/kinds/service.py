"""Service: what should run. One of our managed services, any container, or a program of the machine."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from crds.kind import Column, Kind, Resource
from crds.kinds.iam import IamName
from crds.kinds.service_engines import EngineRef, engine_fault
from crds.kinds.service_programs import program_fault
from crds.kinds.service_roles import role_fault
from crds.kinds.service_rules import SERVICE_RULES
from crds.kinds.worker import Amounts
from crds.meta import Spec, Status
from crds.model import Model, Timestamp
from crds.names import DnsLabel
from crds.passed_roles import PassedRoles
from crds.phases import InstancePhase, ServicePhase
from crds.probes import Probes
from crds.protecting import keeps_what_others_need
from crds.quantity import Quantity
from crds.schema import list_map, list_set

AbsolutePath = Annotated[str, Field(pattern=r"^/[^\x00]*[^/\x00]$", max_length=4096)]
# What Docker keeps as one secret or config.
FILE_BYTES = 500_000


class KeyOf(Model):
    """One key of a Secret or ConfigMap (core/v1) of the same namespace."""

    name: str
    key: str


class EnvKeyOf(KeyOf):
    """With `optional`, the variable is left out while there is no such key; otherwise nothing starts without it."""

    optional: bool = False


class EnvVarSource(Model):
    """Exactly one of `secretKeyRef` or `configMapKeyRef` must be given; a change of the value is rolled out."""

    secret_key_ref: EnvKeyOf | None = None
    config_map_key_ref: EnvKeyOf | None = None

    @model_validator(mode="after")
    def _comes_from_one_place(self) -> EnvVarSource:
        if (self.secret_key_ref is None) == (self.config_map_key_ref is None):
            raise ValueError("give exactly one of secretKeyRef or configMapKeyRef")
        return self


class EnvVar(Model):
    """`value` can be read by everybody who may read the Service; for what is secret there is `valueFrom`."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    value: str = ""
    value_from: EnvVarSource | None = None

    @model_validator(mode="after")
    def _is_said_once(self) -> EnvVar:
        if self.value and self.value_from is not None:
            raise ValueError("valueFrom: may not be specified when value is not empty")
        return self


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


class Port(Model):
    """`port`: where a copy listens. `published`: also reachable there on the machine a copy runs on; so at most one
    copy runs on each. A program shares its machine's ports: it listens where `PORT` (and `AEREKOS_PORT_<NAME>`) says.
    """

    port: Annotated[int, Field(ge=1, le=65535)]
    published: Annotated[int, Field(ge=1, le=65535)] | None = None
    protocol: Literal["tcp", "udp"] = "tcp"
    name: DnsLabel | None = None


class Volume(Model):
    """A folder that outlives a copy. It stays on its machine, and so do the copies once one has run there. `size`:
    what it is meant to hold; reported beside what it holds, and enforced by no runtime.
    """

    name: DnsLabel
    path: AbsolutePath
    size: Quantity | None = None


class File(Model):
    """What is put at `path` in every copy. Exactly one of `content`, `secret`, `configMap` must be given; a change of
    it is rolled out.
    """

    path: AbsolutePath
    content: Annotated[str, Field(max_length=FILE_BYTES)] | None = None
    secret: KeyOf | None = None
    config_map: KeyOf | None = None

    @model_validator(mode="after")
    def _comes_from_one_place(self) -> File:
        if sum(each is not None for each in (self.content, self.secret, self.config_map)) != 1:
            raise ValueError("give exactly one of content, secret or configMap")
        return self


class UpdateStrategy(Model):
    """How a new revision replaces the one before, one copy at a time.

    `order` is start-first, unless the service has a volume or a published port, which two copies cannot share. A new
    revision that does not get ready is rolled back; with `pause`, it is left for a person to look at.
    """

    order: Literal["start-first", "stop-first"] | None = None
    on_failure: Literal["rollback", "pause"] = "rollback"
    monitor_seconds: Annotated[float, Field(ge=0, le=3600)] = 5


class Timeouts(Model):
    """How long the gateway waits for the service. `idleSeconds`: for the next byte of an answer. `requestSeconds`:
    for the whole of it, from the head of the request on; without, as long as it goes on. A change restarts nothing.
    """

    idle_seconds: Annotated[float, Field(gt=0, le=86_400)] = 120
    request_seconds: Annotated[float, Field(gt=0, le=86_400)] | None = None


class ServiceSpec(Spec):
    """`managed` (a folder under services/), `image` (any container), `engine` (a database or the like that this
    version knows), or none of them and a `command`: a program of the machine. Engines and programs run in the process
    runtime, behind walls.

    `command` replaces what the image starts, `args` what is said to it; a program's may contain `$(NAME)`, the value
    of a variable. `mode`: `replicas` copies, a `daemon` on
    every worker, or a `job`: `replicas` copies that run to their end once. `networks`: other namespaces whose
    services it may speak to.

    `activation`: `onDemand` lets a managed service sleep: it is started by the first request that comes through the
    gateway, and stopped when none came for `idleSeconds`. Services that need it, and resources of its kinds, keep it
    awake.

    `role`: an IamRole of its namespace, whose temporary credentials a program, or a container of a stack, gets where
    AWS SDKs look for them.
    """

    managed: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    image: str | None = None
    engine: EngineRef | None = None
    command: list[str] = Field(default_factory=list)
    args: list[str] = Field(default_factory=list)
    enabled: bool = True
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    env: list[EnvVar] = Field(default_factory=list, json_schema_extra=list_map("name"))
    needs: list[DnsLabel] = Field(default_factory=list)
    resources: ResourceLimits = Field(default_factory=ResourceLimits)
    placement: Placement = Field(default_factory=Placement)
    probes: Probes | None = None
    stop_grace_seconds: Annotated[float, Field(ge=0, le=3600)] = 10
    mode: Literal["replicated", "daemon", "job"] = "replicated"
    ports: list[Port] = Field(default_factory=list)
    volumes: list[Volume] = Field(default_factory=list, json_schema_extra=list_map("name"))
    files: list[File] = Field(default_factory=list, json_schema_extra=list_map("path"))
    networks: list[DnsLabel] = Field(default_factory=list)
    update: UpdateStrategy = Field(default_factory=UpdateStrategy)
    timeouts: Timeouts | None = None
    activation: Literal["always", "onDemand"] = "always"
    idle_seconds: Annotated[float, Field(ge=10, le=86_400)] = 300
    role: IamName | None = None

    @property
    def on_demand(self) -> bool:
        """Whether it may sleep while nobody asks for it."""
        return self.activation == "onDemand"

    @property
    def is_program(self) -> bool:
        """Whether it is people's own program of the machine: no managed service, container or engine."""
        return self.managed is None and self.image is None and self.engine is None

    @model_validator(mode="after")
    def _runs_one_thing(self) -> ServiceSpec:
        if sum(each is not None for each in (self.managed, self.image, self.engine)) > 1:
            raise ValueError(
                "give exactly one of managed (one of our services), image (a container), engine (a database or the "
                "like) or command (a program of the machine)"
            )
        if fault := program_fault(self) if self.is_program else engine_fault(self):
            raise ValueError(fault)
        if fault := role_fault(self):
            raise ValueError(fault)
        if self.managed is not None and (self.mode != "replicated" or self.args):
            raise ValueError("a managed service is always replicated, and has no args")
        if self.on_demand and self.managed is None:
            raise ValueError("activation: only a managed service can be started on demand; leave activation out")
        if self.mode == "daemon" and self.replicas > 1:
            raise ValueError("replicas: a daemon runs once on every worker; leave replicas out")
        shared = self.volumes or any(each.published for each in self.ports)
        if shared and self.update.order == "start-first":
            raise ValueError("update.order: two copies cannot share a volume or a published port; use stop-first")
        return self

    @model_validator(mode="after")
    def _says_nothing_twice(self) -> ServiceSpec:
        _once("ports", ((each.port, each.protocol) for each in self.ports))
        _once("ports: published", ((each.published, each.protocol) for each in self.ports if each.published))
        _once("ports: name", (each.name for each in self.ports if each.name))
        _once("volumes: name", (each.name for each in self.volumes))
        _once("path", [each.path for each in self.volumes] + [each.path for each in self.files])
        _once("networks", self.networks)
        return self


def _once(what: str, said: Iterable[Hashable]) -> None:
    seen: set[Hashable] = set()
    for each in said:
        if each in seen:
            words = "/".join(str(part) for part in each) if isinstance(each, tuple) else each
            raise ValueError(f"{what}: {words} is given twice")
        seen.add(each)


class Instance(Model):
    """One running copy, as the runtime sees it."""

    name: str
    worker: str = ""
    address: str = ""
    ready: bool = False
    phase: str = InstancePhase.PENDING
    restarts: int = 0
    started_at: Timestamp | None = None
    revision: str = ""
    message: str = ""


class InstanceNotes(Model):
    """What one running copy says of itself: gone with the start it was said after. Shown on its pod."""

    started_at: Timestamp | None = None
    restarts: int = 0
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class Refusal(Model):
    """Why placement did not choose a worker."""

    worker: str
    reason: str


class MissingDependency(Model):
    """A Service that this one needs and cannot use now. `managed`: the managed service it is, if any."""

    name: str
    reason: str
    managed: str = ""


class VolumeStatus(Model):
    """`used`: what it was last seen to hold; `size`: what it is meant to."""

    name: str
    used: str
    size: str = ""


class EngineStatus(Model):
    """`version` and `program` are what was found. `secret`: the Secret with the superuser's name and password."""

    name: str
    version: str = ""
    program: str = ""
    secret: str = ""


class ServiceStatus(Status):
    """`dataOn`: the workers that keep its volumes; later copies run there. `instanceNotes`: by name of the copy."""

    phase: str = ServicePhase.PENDING
    replicas: int = 0
    ready_replicas: int = 0
    updated_replicas: int = 0
    ready: str = "0/0"
    revision: str = ""
    instances: list[Instance] = Field(default_factory=list, json_schema_extra=list_map("name"))
    refusals: list[Refusal] = Field(default_factory=list)
    missing_dependencies: list[MissingDependency] = Field(default_factory=list, json_schema_extra=list_map("name"))
    instance_notes: dict[str, InstanceNotes] = Field(default_factory=dict)
    engine: EngineStatus | None = None
    volumes: list[VolumeStatus] = Field(default_factory=list, json_schema_extra=list_map("name"))
    data_on: Annotated[list[str], Field(json_schema_extra=list_set())] = Field(default_factory=list)

    @field_validator("data_on", mode="before")
    @classmethod
    def _was_one_name(cls, stored: object) -> object:
        """Records of the first version."""
        return [stored] if isinstance(stored, str) and stored else stored or []


class Service(Resource[ServiceSpec, ServiceStatus]):
    spec: ServiceSpec
    status: ServiceStatus = Field(default_factory=ServiceStatus)


SERVICE_LABEL = "aerekos.cloud/service"
"""What every instance carries, shown as a pod, and nothing else does."""


def instances_of(service: dict[str, Any]) -> str:
    """The label selector that means the pods of a Service."""
    return f"{SERVICE_LABEL}={service['metadata']['name']}"


SERVICE = Kind(
    name="Service",
    plural="services",
    singular="service",
    short_names=("asvc",),
    categories=("all", "aerekos"),
    model=Service,
    scale_path="spec.replicas",
    scale_selector=instances_of,
    description="What should run: a managed service, a container, an engine (a database), a program of the machine.",
    invariants=(keeps_what_others_need,),
    passes=PassedRoles(
        "ecs-tasks.amazonaws.com",
        lambda spec: [str(spec["role"])] if spec.get("role") else [],
        harmless=frozenset({"replicas", "enabled"}),
    ),
    selectable=("status.phase", "spec.managed", "spec.engine.name"),
    rules=SERVICE_RULES,
    columns=(
        Column("Name", "metadata.name"),
        Column("Ready", "status.ready"),
        Column("Status", "status.phase"),
        Column("Managed", "spec.managed", priority=1),
        Column("Image", "spec.image", priority=1),
        Column("Engine", "spec.engine.name", priority=1),
        Column("Restarts", "status.instances[0].restarts", type="integer"),
        Column("Why", "status.conditions[0].message", priority=1),
        Column("Age", "metadata.creationTimestamp", type="date"),
    ),
)
service_key = lru_cache(4096)(SERVICE.key)
"""`SERVICE.key`, remembered: gateways need those of the same few Services for every request."""
