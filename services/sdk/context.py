"""One running instance of a managed service: where it listens, what it may touch, how it reaches others.

Made from the environment (docs/interfaces.md) by `services.sdk.run`, or by hand in tests (`services.sdk.testing`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from controller.client.protocol import Resources
from controller.kit.clock import Clock, SystemClock
from crds.kind import Kind, KubeObject
from crds.names import url_path
from services.sdk.authorization import REVIEWS, AccessReviewer
from services.sdk.certificate import InstanceCertificate, signed_by_conductor
from services.sdk.conductor_client import ServiceAuth, fetch_json, open_client
from services.sdk.identity import Caller, IdentityVerifier
from services.sdk.metrics import ServiceMetrics

if TYPE_CHECKING:
    from services.sdk.clients.service_client import ServiceClient
    from services.sdk.informer import Informer, ServiceInformers

M = TypeVar("M", bound=KubeObject)
MakeResources = Callable[[Caller | None], Resources]


@dataclass
class ServiceContext:
    """`service` is the folder's name (`notes_manager`), `name` this instance's (`notes-manager-0`)."""

    name: str
    service: str
    host: str
    port: int
    data: Path
    api: str
    client: httpx.AsyncClient
    secrets: Mapping[str, Path] = field(default_factory=dict)
    clock: Clock = field(default_factory=SystemClock)
    make_resources: MakeResources | None = None
    make_peer: Callable[[str], httpx.AsyncClient] | None = None
    certificate: InstanceCertificate | None = None
    """What it serves TLS with, and then to the gateway alone. None for tests that need no TLS."""
    sockets: int = 0
    """How many listening sockets it was handed, at which nobody but the gateway can ask."""
    clients: dict[str, ServiceClient] = field(default_factory=dict)
    opened: dict[str, bytes] = field(default_factory=dict, repr=False)
    """Secrets that were handed over wrapped, as the conductor opened them (`services.sdk.wrapped_secrets`)."""

    @property
    def service_name(self) -> str:
        """Name of the Service, which is also the audience of identities meant for it."""
        return self.service.replace("_", "-")

    def secret(self, name: str) -> bytes:
        """The secret its manifest asked for. Raises KeyError when it was not handed over."""
        name = name.lower().replace("_", "-")
        return self.opened[name] if name in self.opened else self.secrets[name].read_bytes()

    @cached_property
    def resources(self) -> Resources:
        """Resources, touched as the service itself: only what its manifest's grants allow."""
        return self._resources(None)

    @cached_property
    def metrics(self) -> ServiceMetrics:
        """What `/metrics` shows. Metrics of one's own go to its `registry`, in `create`."""
        return ServiceMetrics()

    @cached_property
    def informers(self) -> ServiceInformers:
        """Those that were asked for by `informer`; they run as long as the service does."""
        from services.sdk.informer import ServiceInformers

        return ServiceInformers(self.resources)

    def informer(self, kind: Kind[M]) -> Informer[M]:
        """The copy of that kind in memory, which all of the process shares. Ask in `create`, before it starts."""
        return self.informers.informer(kind)

    def acting_for(self, caller: Caller) -> Resources:
        """Resources, touched in the caller's name: what they may now, of what our manifest says we do for callers."""
        return self._resources(caller)

    def peer(self, service_name: str) -> httpx.AsyncClient:
        """A client whose root is another managed service (`notes-manager`), by the gateway. Close it yourself."""
        if self.make_peer:
            return self.make_peer(service_name)
        return _peer(self, service_name)

    def service_client(self, service_name: str) -> ServiceClient:
        """The client of another managed service (`notes-manager`): one for the process, closed by the kit."""
        from services.sdk.clients.service_client import ServiceClient

        if service_name not in self.clients:
            record = self.metrics.record_call
            self.clients[service_name] = ServiceClient(service_name, self.peer(service_name), self.clock, record)
        return self.clients[service_name]

    @cached_property
    def identities(self) -> IdentityVerifier:
        """Verifies who calls us."""
        return IdentityVerifier(lambda: fetch_json(self.client, "GET", "/auth/jwks"), self.service_name, self.clock)

    @cached_property
    def authorizer(self) -> AccessReviewer:
        """Asks the conductor what callers may do."""

        async def ask(review: dict[str, Any], token: str) -> dict[str, Any]:
            return await fetch_json(self.client, "POST", REVIEWS, review, on_behalf_of=token)

        return AccessReviewer(ask, self.clock)

    def _resources(self, caller: Caller | None) -> Resources:
        if self.make_resources:
            return self.make_resources(caller)
        from controller.client.remote import RemoteResources

        if caller is None:
            return RemoteResources(self.client)
        return RemoteResources(self.client, on_behalf_of=caller.token)


def from_environment(environ: Mapping[str, str] | None = None) -> ServiceContext:
    """The instance this process is. Raises KeyError naming the variable that is missing."""
    env = os.environ if environ is None else environ
    host, _, port = env["AEREKOS_LISTEN"].rpartition(":")
    api, clock = env["AEREKOS_API"], SystemClock()
    ca = Path(env["AEREKOS_CA"])
    auth = ServiceAuth(api, Path(env["AEREKOS_CREDENTIAL"]), clock)
    prefix = "AEREKOS_SECRET_"
    secrets = {
        name.removeprefix(prefix).lower().replace("_", "-"): Path(path)
        for name, path in env.items()
        if name.startswith(prefix)
    }
    context = ServiceContext(
        name=env["AEREKOS_INSTANCE"],
        service=env["AEREKOS_SERVICE"],
        host=host.strip("[]"),
        port=int(port),
        data=Path(env["AEREKOS_DATA"]),
        api=api,
        client=open_client(api, ca, auth),
        secrets=secrets,
        clock=clock,
        sockets=int(env.get("AEREKOS_SOCKETS", "0")),
    )
    context.certificate = InstanceCertificate(signed_by_conductor(context.client), ca, clock)
    context.make_peer = lambda peer: open_client(api, ca, auth, base=f"/services/{url_path(peer)}")
    return context


def _peer(context: ServiceContext, service_name: str) -> httpx.AsyncClient:
    base = f"{context.api.rstrip('/')}/services/{url_path(service_name)}"
    return httpx.AsyncClient(base_url=base, auth=context.client.auth, trust_env=False)
