"""What a managed service says of itself: the front page of its folder.

Kept light on purpose: the conductor reads every manifest at start, so a manifest imports kinds and
nothing that serves them. The heavy parts are named as `package.module:attribute` and loaded by the
service's own process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from crds.kind import Kind
from crds.probes import HttpGet, Probe, Probes


def default_probes() -> Probes:
    """Half a second to notice; three misses of liveness mean it hangs."""
    return Probes(
        liveness=Probe(
            http_get=HttpGet(path="/health", scheme="HTTPS"), period_seconds=1, timeout_seconds=2, failure_threshold=3
        ),
        readiness=Probe(
            http_get=HttpGet(path="/ready", scheme="HTTPS"), period_seconds=1, timeout_seconds=1, failure_threshold=2
        ),
    )


@dataclass(frozen=True, slots=True)
class Grant:
    """Verbs of Kubernetes RBAC on a kind of resource: what a service may do itself, or does for its callers."""

    kind: str
    verbs: tuple[str, ...]
    group: str = "aerekos.cloud"


@dataclass(frozen=True, slots=True)
class PublicPath:
    """Requests of that method, below that path of the service (`/inbound/`), which anybody may send: the gateway asks
    nobody who they are, and takes off what proves it to others. What they prove, the service judges.
    """

    method: str
    prefix: str


@dataclass(frozen=True, slots=True)
class RootSealed:
    """Records that are sealed under the root key. `generation`: the `module:function` that says under which one a
    resource (its JSON) is; -1 for a form nobody knows. `opener`: the `module:function` that makes of the key file's
    content what says why a resource does not open, or None.
    """

    kind: Kind[Any]
    generation: str
    opener: str


@dataclass(frozen=True)
class ManagedService:
    """One managed service.

    name: folder and `spec.managed` value, `notes_manager`; its Service is called `notes-manager`.
    create: `module:function` that makes its parts (`services.sdk.service.Service`) of a
    `services.sdk.context.ServiceContext`: the application, reconcilers, checks and tasks of its process.
    speaks: AWS signing names it answers (`kms`), from the SigV4 credential scope. protocol: how it words errors.
    token_header: where its own clients send their bearer token; at the gateway it counts as Authorization does.
    assumes_as: the services of AWS it stands for (`scheduler.amazonaws.com`): roles that trust them are its to
    assume, for resources of people who may pass them.
    known_as: the service of AWS as which policies of resources know it (`s3.amazonaws.com`) where it calls in its own
    name. It gives it no role.
    public: what anybody may ask of it, known to the cloud or not.
    needs: managed services that must be Ready before it starts. asks: those that it goes on without. It may call
    these and no others.
    grants: what its own identity may do. acts: what it does in the name of its callers; whatever they may besides,
    through this service they may no more than that.
    access_rules: the `module:attribute` of what its AWS actions ask of callers (`services.sdk.aws.access_rules`), for
    whoever explains decisions without asking it.
    starts_enabled: every cloud has its Service from its first start on. activation: whether that one always runs, or
    is started by the first request, and by resources of its kinds.
    stands_in_for: the managed service (`notes_manager`) whose readers it answers while that one does not. It speaks
    what the other speaks, which its own `speaks` does not name.
    backup: the `module:attribute` of the hooks that back up its data folder (`services.sdk.backup.BackupHooks`).
    keeps_data: its data folder holds what nobody else has, so it stays on the worker it first ran on.
    secrets: conductor secrets handed over as files: `root-key` arrives as AEREKOS_SECRET_ROOT_KEY=path.
    root_sealed: what it stores under that key, which must not be lost, and is sealed again after a rotation.
    """

    name: str
    title: str
    summary: str
    create: str
    kinds: tuple[Kind[Any], ...] = ()
    speaks: tuple[str, ...] = ()
    protocol: Literal["json", "s3", "query", "rest-json", "rest-xml", "smithy-rpc-v2-cbor"] = "json"
    token_header: str = ""
    assumes_as: tuple[str, ...] = ()
    known_as: str = ""
    public: tuple[PublicPath, ...] = ()
    needs: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    root_sealed: tuple[RootSealed, ...] = ()
    grants: tuple[Grant, ...] = ()
    acts: tuple[Grant, ...] = ()
    access_rules: str = ""
    starts_enabled: bool = False
    activation: Literal["always", "onDemand"] = "always"
    keeps_data: bool = False
    backup: str = ""
    stands_in_for: str = ""
    probes: Probes = field(default_factory=default_probes)

    @cached_property
    def service_name(self) -> str:
        """The name of its Service resource: `notes-manager`."""
        return self.name.replace("_", "-")

    @property
    def default_spec(self) -> dict[str, Any]:
        """The spec of the Service that a cloud makes of it, as on the wire."""
        spec: dict[str, Any] = {"managed": self.name}
        return spec if self.activation == "always" else {**spec, "activation": self.activation}
