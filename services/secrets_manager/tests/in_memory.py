"""secrets_manager beside key_manager on the test's own loop, in virtual time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import httpx

from services.sdk.context import ServiceContext
from services.sdk.discovery import managed_service
from services.sdk.service import Service
from services.sdk.testing import MemoryService, User, in_memory
from services.sdk.testing.conductor import GatewayIdentity
from services.secrets_manager.access_key_api import SignedAccessKeyApi
from services.secrets_manager.app import assembled
from services.secrets_manager.manifest import MANIFEST
from services.secrets_manager.webhooks import WebhookRotator

ROTATOR = "https://rotator.example.com/db"
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


class RotationFunction:
    """Somebody's webhook: it does what the functions of AWS do, by the API. `fails`: the step it refuses."""

    def __init__(self) -> None:
        self.secrets: Secrets | None = None
        self.steps: list[str] = []
        self.fails = ""
        self.resolved = "203.0.113.7"
        self.in_use = ""

    async def resolve(self, host: str, port: int) -> list[str]:
        assert (host, port) == ("rotator.example.com", 443)
        return [self.resolved]

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        event = json.loads(request.content)
        assert (request.url.host, request.headers["host"]) == (self.resolved, "rotator.example.com")
        assert request.extensions["sni_hostname"] == "rotator.example.com"
        self.steps.append(event["Step"])
        if event["Step"] == self.fails:
            return httpx.Response(500, text="the new password is swordfish")
        await getattr(self, f"_{event['Step']}")(event["SecretId"], event["ClientRequestToken"])
        return httpx.Response(200)

    async def _createSecret(self, arn: str, token: str) -> None:
        pending = {"SecretId": arn, "VersionId": token, "VersionStage": "AWSPENDING"}
        if (await self._api.ask("GetSecretValue", **pending))[0] == 200:
            return
        made = (await self._api.call("GetRandomPassword", ExcludePunctuation=True))["RandomPassword"]
        put = {"SecretId": arn, "ClientRequestToken": token, "VersionStages": ["AWSPENDING"]}
        await self._api.call("PutSecretValue", SecretString=made, **put)

    async def _setSecret(self, arn: str, token: str) -> None:
        pending = await self._api.call("GetSecretValue", SecretId=arn, VersionId=token)
        self.in_use = pending["SecretString"]

    async def _testSecret(self, arn: str, token: str) -> None:
        pending = await self._api.call("GetSecretValue", SecretId=arn, VersionStage="AWSPENDING")
        assert pending["SecretString"] == self.in_use

    async def _finishSecret(self, arn: str, token: str) -> None:
        stages = (await self._api.call("DescribeSecret", SecretId=arn))["VersionIdsToStages"]
        (current,) = [version for version, labels in stages.items() if "AWSCURRENT" in labels]
        if current != token:
            move = {"VersionStage": "AWSCURRENT", "MoveToVersionId": token, "RemoveFromVersionId": current}
            await self._api.call("UpdateSecretVersionStage", SecretId=arn, **move)

    @property
    def _api(self) -> Secrets:
        assert self.secrets is not None
        return self.secrets


_FUNCTIONS: dict[int, RotationFunction] = {}


def create(context: ServiceContext) -> Service:
    """The service whose webhooks end in the function of this test."""
    function = _FUNCTIONS[id(context.clock)] = RotationFunction()
    http = httpx.AsyncClient(transport=httpx.MockTransport(function))
    return assembled(context, WebhookRotator(http, function.resolve), SignedAccessKeyApi(context))


@dataclass
class Secrets:
    """Both services, and a caller."""

    service: MemoryService
    keys: _Switch
    function: RotationFunction
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

    async def stages(self, name: str) -> dict[str, list[str]]:
        told: dict[str, list[str]] = (await self.call("DescribeSecret", SecretId=name))["VersionIdsToStages"]
        return told

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
        manifest = replace(MANIFEST, create=f"{__name__}:create")
        async with in_memory(manifest, peer=lambda name: peer, **options) as service:
            function = _FUNCTIONS.pop(id(service.context.clock))
            function.secrets = Secrets(service, way, function)
            yield function.secrets
