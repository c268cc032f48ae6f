"""webhook_manager in virtual time, without threads; what it sends goes to receivers that the test writes."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import anyio
import httpx

from crds.kinds.namespace import NAMESPACE
from crds.kinds.secret import SECRET
from services.sdk.app import ServiceApp
from services.sdk.aws.role_calls import RoleCalls, RoleUse
from services.sdk.testing import User
from services.sdk.testing.conductor import FakeConductor, fake_context
from services.sdk.testing.memory_resources import MemoryResources
from services.sdk.testing.virtual import AtOnce, LoopClock, MemoryService
from services.webhook_manager.app import assembled
from services.webhook_manager.directory import Directory
from services.webhook_manager.kinds import WEBHOOK_ENDPOINT, WebhookEndpoint, WebhookEndpointSpec
from services.webhook_manager.manifest import MANIFEST
from services.webhook_manager.names import SECRET_TYPE, secret_name
from services.webhook_manager.sending import OutsideSender
from services.webhook_manager.signing_secrets import SigningSecrets
from services.webhook_manager.source_kinds import WEBHOOK_SOURCE, WebhookSource, WebhookSourceSpec

PUBLIC = "203.0.114.7"
URL = "https://hooks.example.com/in"
ROLE = "arn:aws:iam::000000000000:role/webhooks"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:incoming"


@dataclass
class Outside:
    """Whoever is called. `answer`: to a request; `seconds`: how long it takes; `addresses`: of every name."""

    now: Callable[[], datetime]
    requests: list[httpx.Request] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    answer: Callable[[httpx.Request], httpx.Response] = lambda request: httpx.Response(204)
    seconds: float = 0.0
    addresses: list[str] = field(default_factory=lambda: [PUBLIC])
    calls: list[tuple[RoleUse, str, Mapping[str, Any]]] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    refuses: Callable[[], Exception | None] = lambda: None

    async def resolve(self, host: str, port: int) -> list[str]:
        return self.addresses

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.times.append(self.now())
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await anyio.sleep(self.seconds)
            return self.answer(request)
        finally:
            self.under_way -= 1

    async def call(self, use: RoleUse, service: str, region: str, operation: str, request: Mapping[str, Any]) -> None:
        """As `RoleCalls.call`."""
        self.calls.append((use, f"{service}:{operation}", request))
        if (fault := self.refuses()) is not None:
            raise fault

    @property
    def ids(self) -> list[str]:
        return [each.headers["webhook-id"] for each in self.requests]


@dataclass
class Webhooks:
    """The service, whoever it calls, and somebody who may everything."""

    service: MemoryService
    outside: Outside

    async def endpoint(self, name: str = "e", namespace: str = "default", **spec: Any) -> WebhookEndpoint:
        wanted = WebhookEndpointSpec.model_validate({"url": URL, **spec})
        kind = WEBHOOK_ENDPOINT
        await self.service.resources.create(kind, kind.new(name, namespace=namespace, spec=wanted))
        await self.advance(0.1)
        return await self.read(name, namespace)

    async def read(self, name: str = "e", namespace: str = "default") -> WebhookEndpoint:
        return await self.service.resources.get(WEBHOOK_ENDPOINT, name, namespace)

    async def change(self, name: str = "e", **spec: Any) -> None:
        await self.service.resources.patch(WEBHOOK_ENDPOINT, name, {"spec": spec}, "default")
        await self.advance(0.1)

    async def source(self, provider: str, secret: str, name: str = "s", **spec: Any) -> WebhookSource:
        await self.secret(f"{name}-secret", value=secret)
        target = {} if "endpoint" in spec else {"queue": {"arn": QUEUE, "roleArn": ROLE}}
        wanted = {"provider": provider, "secretName": f"{name}-secret", **target, **spec}
        kind = WEBHOOK_SOURCE
        made = kind.new(name, namespace="default", spec=WebhookSourceSpec.model_validate(wanted))
        await self.service.resources.create(kind, made)
        await self.advance(0.1)
        return await self.service.resources.get(WEBHOOK_SOURCE, name, "default")

    async def secret(self, name: str, type: str = SECRET_TYPE, **values: str) -> None:
        made = SECRET.new(name, namespace="default", type=type, string_data=values)
        await self.service.resources.create(SECRET, made)

    async def secrets_of(self, endpoint: str = "e") -> dict[str, str]:
        found = await self.service.resources.get(SECRET, secret_name(endpoint), "default")
        return {name: base64.b64decode(value).decode() for name, value in (found.data or {}).items()}

    async def sign_with(self, secret: str, endpoint: str = "e", **values: str) -> None:
        """Somebody writes that into the endpoint's Secret."""
        told = {"stringData": {"secret": secret, **values}}
        await self.service.resources.patch(SECRET, secret_name(endpoint), told, "default")

    def count_reads_of_secrets(self, fault: Exception | None = None) -> list[str]:
        """The names of the Secrets that are read from now on; `fault`: what comes of it."""
        reads: list[str] = []
        resources, get = self.service.resources, self.service.resources.get

        async def counted(kind: Any, name: str, *rest: Any) -> Any:
            if kind is SECRET:
                reads.append(name)
                await anyio.sleep(0.01)
                if fault is not None:
                    raise fault
            return await get(kind, name, *rest)

        resources.get = counted  # type: ignore[method-assign, assignment]
        return reads

    async def ask(
        self, method: str, path: str, body: Any = None, user: User | None = None, **options: Any
    ) -> httpx.Response:
        async with self.service.client(user) as http:
            return await http.request(method, path, json=body, **options)

    async def send(self, type: str = "paid", endpoint: str = "e", **body: Any) -> str:
        """The id under which it was taken."""
        answer = await self.ask("POST", f"/endpoints/default/{endpoint}/messages", {"type": type, **body})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def messages(self, path: str = "endpoints/default/e", query: str = "") -> dict[str, Any]:
        answer = await self.ask("GET", f"/{path}/messages{query}")
        assert answer.status_code == 200, answer.text
        return cast("dict[str, Any]", answer.json())

    async def attempts(self, path: str = "endpoints/default/e", query: str = "") -> list[dict[str, Any]]:
        answer = await self.ask("GET", f"/{path}/attempts{query}")
        assert answer.status_code == 200, answer.text
        return cast("list[dict[str, Any]]", answer.json()["attempts"])

    async def post_in(self, body: bytes, headers: Mapping[Any, Any], name: str = "s") -> httpx.Response:
        """As anybody, through the gateway."""
        nobody = User("system:anonymous", ("system:unauthenticated",))
        async with self.service.client(nobody) as http:
            return await http.post(f"/inbound/default/{name}", content=body, headers=dict(headers))

    async def advance(self, seconds: float) -> None:
        await self.service.advance(seconds)

    def now(self) -> datetime:
        return self.service.context.clock.now()


@asynccontextmanager
async def webhooks_of(folder: Path, before: Webhooks | None = None) -> AsyncIterator[Webhooks]:
    """On what another one left in that folder, with its resources, clock and receivers: as after a restart. Its time
    begins now, so that receivers who look at their own clock agree.
    """
    clock = before.service.context.clock if before else LoopClock(datetime.now(UTC))
    outside = before.outside if before else Outside(clock.now)
    kept = before.service.resources if before else MemoryResources(clock, keepers=True)
    if before is None:
        await kept.create(NAMESPACE, NAMESPACE.new("default"))
    conductor = FakeConductor(clock)
    context = fake_context(MANIFEST.name, folder, conductor, kept, {})

    def sender(directory: Directory, secrets: SigningSecrets) -> OutsideSender:
        http = httpx.AsyncClient(transport=httpx.MockTransport(outside.handle))
        return OutsideSender(directory, secrets, cast("RoleCalls", outside), http, clock, outside.resolve)

    service = assembled(context, sender, AtOnce())
    app = ServiceApp(context, service)
    async with app.running():
        yield Webhooks(MemoryService(context, conductor, kept, service, app), outside)
        app.stop_soon()
