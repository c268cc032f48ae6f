"""secrets_manager beside key_manager on the test's own loop, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from services.sdk.discovery import managed_service
from services.sdk.testing import MemoryService, User, in_memory
from services.sdk.testing.conductor import GatewayIdentity
from services.secrets_manager.manifest import MANIFEST

_ITSELF = User("system:service:secrets-manager", ("system:services",))


class _Switch(httpx.AsyncBaseTransport):
    """The way to key_manager, which can be broken."""

    def __init__(self, app: Any) -> None:
        self._inner, self.broken, self.asked = httpx.ASGITransport(app), False, 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.broken:
            raise httpx.ConnectError("away", request=request)
        self.asked += b"GenerateRandom" not in request.headers.get("x-amz-target", "").encode()
        return await self._inner.handle_async_request(request)


@dataclass
class Secrets:
    """Both services, and a caller."""

    service: MemoryService
    keys: _Switch
    user: User = field(default_factory=User)

    async def call(self, operation: str, **body: Any) -> dict[str, Any]:
        """The answer. Raises AssertionError with what is refused."""
        status, answer = await self.ask(operation, **body)
        assert status == 200, answer
        return answer

    async def ask(self, operation: str, **body: Any) -> tuple[int, dict[str, Any]]:
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"secretsmanager.{operation}"}
        if operation in ("CreateSecret", "PutSecretValue", "UpdateSecret", "RotateSecret"):
            body.setdefault("ClientRequestToken", str(uuid4()))
        async with self.service.client(self.user) as client:
            response = await client.post("/", headers=headers, json=body)
        return response.status_code, response.json()

    async def ready(self) -> dict[str, Any]:
        async with self.service.probe() as probe:
            answer: dict[str, Any] = (await probe.get("/ready")).json()
        return answer


@asynccontextmanager
async def secrets_in_memory(**options: Any) -> AsyncIterator[Secrets]:
    keys = managed_service("key_manager")
    assert keys is not None
    async with in_memory(keys, secrets={"root-key": bytes(range(32))}) as km:
        way = _Switch(km.app)
        identity = GatewayIdentity(km.conductor, "key-manager", _ITSELF)
        peer = httpx.AsyncClient(transport=way, base_url="http://keys", auth=identity)
        async with in_memory(MANIFEST, peer=lambda name: peer, **options) as service:
            yield Secrets(service, way)
