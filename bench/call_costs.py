"""The gateway's and the services' own code for one signed call, batch by batch as bench/signed_calls.py asks.

`python bench/call_costs.py gateway|services`. Says what is measured, runs a batch for each line `go` that comes and
tells the microseconds of CPU of one call; goes on with what comes next at any other line. The real gateway with its
channel to a stub conductor, and the real services beside a conductor made of memory, over transports that only take
notes (bench/noting_loop.py). The code is that of the first tree in PYTHONPATH.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import structlog
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cloud import a_port
from noting_loop import NotingLoop, NotingTransport

from api.gateway.process import GatewayProcess, Options
from controller.kit.listening import open_listeners
from services.sdk.app import ServiceApp
from services.sdk.certificate import GATEWAY
from services.sdk.discovery import managed_service
from services.sdk.edge.connections import limits_for
from services.sdk.edge.http_server import AT_ONCE, HttpServer
from services.sdk.service import create_service
from services.sdk.testing import FakeConductor, MemoryResources, User, fake_context
from services.sdk.testing.conductor import GatewayIdentity

CONNECTIONS, CALLS = 16, 64
FRESH_SECONDS = 20.0
"""So long is a request asked again and again: its identity is good for a minute."""
SDK = {"user-agent": "Boto3/1.40.0 md/Botocore#1.40.0 ua/2.1 os/linux", "amz-sdk-request": "attempt=1"}
HERE = Path(__file__).parent
ANSWER = b"".join(
    [
        b"HTTP/1.1 200 OK\r\ndate: Sun, 29 Nov 2026 12:00:00 GMT\r\n",
        b"content-type: application/x-amz-json-1.1\r\nx-amzn-requestid: 0123456789abcdef0123456789abcdef\r\n",
        b"content-length: 64\r\nx-aerekos-audit-action: kms:GenerateDataKey\r\nx-aerekos-audit-caller: bench\r\n",
        b"x-aerekos-audit-resource: arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab\r\n",
        b"x-request-id: 0123456789abcdef0123456789abcdef\r\n\r\n",
        b"x" * 64,
    ]
)
GENERATE = {"KeyId": "1234abcd-12ab-34cd-56ef-1234567890ab", "KeySpec": "AES_256"}


@dataclass(frozen=True)
class Signer:
    """Somebody with an AWS key. `extra`: headers that are not signed."""

    access_key: str
    secret: str

    def json(self, service: str, target: str, content: dict[str, Any], extra: dict[str, str] | None = None) -> bytes:
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": target}
        return self.raw(service, "POST", "/", json.dumps(content).encode(), headers, extra)

    def raw(
        self,
        service: str,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        extra: dict[str, str] | None = None,
    ) -> bytes:
        """The bytes of one request, as boto3 sends it."""
        agent = {
            "user-agent": "Boto3/1.40.0 md/Botocore#1.40.0 ua/2.1 os/linux lang/python#3.11",
            "amz-sdk-request": "attempt=1",
        }
        made = AWSRequest(method, f"https://localhost:7443{path}", data=body, headers={**agent, **(headers or {})})
        sign = S3SigV4Auth if service == "s3" else SigV4Auth
        sign(Credentials(self.access_key, self.secret), service, "us-east-1").add_auth(made)
        lines = [f"{name}: {value}" for name, value in {**dict(made.headers.items()), **(extra or {})}.items()]
        head = [f"{method} {path} HTTP/1.1", "host: localhost:7443", *lines, f"content-length: {len(body)}"]
        return "\r\n".join([*head, "", ""]).encode() + body


class Clients:
    """Connections to a server on this loop, each with one request at a time."""

    def __init__(self, loop: NotingLoop, transports: list[NotingTransport]) -> None:
        self._loop, self._transports = loop, transports
        self._fresh_until = 0.0

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to one."""
        await self._round(self._transports[:1], request)
        head, _, body = self._transports[0].written.partition(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]), body

    async def measure(self, what: str, make: Callable[[], bytes]) -> None:
        """Batches of that request, as long as they are asked for. Raises RuntimeError where the answer is no 200."""
        tell(what)
        request = make()
        while sys.stdin.readline() == "go\n":
            if time.monotonic() > self._fresh_until:
                request, self._fresh_until = make(), time.monotonic() + FRESH_SECONDS
                code, body = await self.ask(request)  # and whatever is remembered of it
                if code != 200:
                    raise RuntimeError(f"{what}: {code} {body[:500]!r}")
            began = time.thread_time()
            for _ in range(CALLS // CONNECTIONS):
                await self._round(self._transports, request)
            tell((time.thread_time() - began) / CALLS * 1e6)
            await asyncio.sleep(0)

    async def _round(self, transports: list[NotingTransport], request: bytes) -> None:
        wanted = self._loop.answers + len(transports)
        for each in transports:
            each.protocol.data_received(request)
        while self._loop.answers < wanted:  # noqa: ASYNC110 (it is the loop that is measured)
            await asyncio.sleep(0)


async def connected(loop: NotingLoop, port: int, stack: AsyncExitStack) -> Clients:
    """Clients of the server at that port."""
    loop.accepts, before = True, len(loop.accepted)
    for _ in range(CONNECTIONS):
        stack.callback(socket.create_connection(("127.0.0.1", port)).close)
    while len(loop.accepted) < before + CONNECTIONS:  # noqa: ASYNC110 (the server tells nobody)
        await asyncio.sleep(0.01)
    loop.accepts = False
    return Clients(loop, loop.accepted[before:])


async def gateway_costs(loop: NotingLoop) -> None:
    """A small call of KMS and the HEAD of an object, on their way to an instance and back."""
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        loop.upstream = (f"{home}/upstream", ANSWER)
        told = stack.enter_context(a_conductor(home))
        port = a_port()
        process = GatewayProcess(Options(home, "localhost", port))
        serving = asyncio.create_task(process.serve())
        stack.push_async_callback(ended, serving)
        await until_open(port)
        clients = await connected(loop, port, stack)
        signer = Signer(told["access_key"], told["secret"])
        kms = partial(signer.json, "kms", "TrentService.GenerateDataKey", GENERATE)
        head = partial(signer.raw, "s3", "HEAD", "/bench/object")
        await clients.measure("gateway: GenerateDataKey", kms)
        await clients.measure("gateway: HEAD of an object", head)


@contextmanager
def a_conductor(home: Path) -> Iterator[dict[str, str]]:
    """What a gateway follows, and whom it knows."""
    addresses = [f"127.0.0.1:1@{home}/upstream.{name}" for name in ("kms", "s3")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(HERE / "stub_conductor.py"), str(home), *addresses, "127.0.0.1:1"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, env=env)
    assert running.stdout is not None
    try:
        yield json.loads(running.stdout.readline())
    finally:
        running.terminate()
        running.wait()


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until_open(port: int) -> None:
    """Returns once somebody listens there."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            await asyncio.sleep(0.05)


@dataclass
class RunningService:
    """A service on this loop, and how it is asked as the gateway would."""

    app: ServiceApp
    conductor: FakeConductor
    clients: Clients
    name: str

    def identity(self) -> dict[str, str]:
        who = User()
        token = self.conductor.token(who.name, self.name, groups=who.groups, ns=who.namespace, akid=who.access_key)
        trace = f"00-{uuid4().hex}-{uuid4().hex[:16]}-01"
        return {"x-aerekos-identity": token, "x-request-id": uuid4().hex, "traceparent": trace}

    def json(self, service: str, target: str, **content: Any) -> bytes:
        return SIGNER.json(service, target, content, self.identity())

    def raw(self, service: str, method: str, path: str, body: bytes = b"") -> bytes:
        return SIGNER.raw(service, method, path, body, extra=self.identity())

    async def told(self, request: bytes) -> dict[str, Any]:
        """The answer to one, which must be a good one."""
        code, body = await self.clients.ask(request)
        if code >= 300:
            raise RuntimeError(f"{code} {body[:500]!r}")
        return dict(json.loads(body)) if body.startswith(b"{") else {}


SIGNER = Signer(User().access_key, User().secret)


@asynccontextmanager
async def running(
    loop: NotingLoop, name: str, conductor: FakeConductor, keys: RunningService | None = None
) -> AsyncIterator[RunningService]:
    """That managed service; `keys`: where its data keys come from."""
    manifest = managed_service(name)
    assert manifest is not None
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        resources = MemoryResources(conductor.clock, keepers=True)
        context = fake_context(name, folder, conductor, resources, {"root-key": bytes(range(32))})
        context.make_peer = lambda _: peer(context.service_name, keys, conductor)
        app = ServiceApp(context, create_service(manifest, context))
        listeners = open_listeners("127.0.0.1", 0, 64)
        server = HttpServer(app, listeners, None, limits_for(1000), peer=((("commonName", GATEWAY),),))
        await stack.enter_async_context(app.running())
        server.start()
        stack.push_async_callback(server.stop, AT_ONCE)
        clients = await connected(loop, listeners[0].getsockname()[1], stack)
        yield RunningService(app, conductor, clients, context.service_name)


def peer(asker: str, keys: RunningService | None, conductor: FakeConductor) -> httpx.AsyncClient:
    assert keys is not None
    auth = GatewayIdentity(conductor, keys.name, User(f"system:service:{asker}", ("system:services",)))
    return httpx.AsyncClient(transport=httpx.ASGITransport(keys.app), base_url="http://keys", auth=auth)


async def service_costs(loop: NotingLoop) -> None:
    """Of calls as the gateway sends them on."""
    conductor = FakeConductor()
    async with AsyncExitStack() as stack:
        kms = await stack.enter_async_context(running(loop, "key_manager", conductor))
        await key_costs(kms)
        # One after the other: a connection on which nothing is asked is closed.
        s3 = await stack.enter_async_context(running(loop, "storage_manager", conductor, kms))
        await object_costs(s3)
        secrets = await stack.enter_async_context(running(loop, "secrets_manager", conductor, kms))
        await secret_cost(secrets)


async def key_costs(kms: RunningService) -> None:
    made = await kms.told(kms.json("kms", "TrentService.CreateKey", Description="bench"))
    key = made["KeyMetadata"]["KeyId"]
    context = {"tenant": "bench"}
    plain = base64.b64encode(b"x" * 4096).decode()
    asked = partial(kms.json, "kms", KeyId=key, EncryptionContext=context)
    generate = partial(asked, target="TrentService.GenerateDataKey", KeySpec="AES_256")
    encrypt = partial(asked, target="TrentService.Encrypt", Plaintext=plain)
    await kms.clients.measure("key-manager: GenerateDataKey", generate)
    await kms.clients.measure("key-manager: Encrypt of 4 KiB", encrypt)


async def object_costs(s3: RunningService) -> None:
    """Of reads of 4 KiB. While a write waits for its commit the loop turns, which would be measured with it."""
    await s3.told(s3.raw("s3", "PUT", "/bench"))
    await s3.told(s3.raw("s3", "PUT", "/bench/object", b"x" * 4096))
    for method in ("HEAD", "GET"):
        request = partial(s3.raw, "s3", method, "/bench/object")
        await s3.clients.measure(f"storage-manager: {method} of 4 KiB", request)


async def secret_cost(secrets: RunningService) -> None:
    token = str(uuid4())
    create = secrets.json(
        "secretsmanager", "secretsmanager.CreateSecret", Name="bench", SecretString="s" * 64, ClientRequestToken=token
    )
    await secrets.told(create)
    get = partial(secrets.json, "secretsmanager", "secretsmanager.GetSecretValue", SecretId="bench")
    await secrets.clients.measure("secrets-manager: GetSecretValue", get)


def tell(said: object) -> None:
    """Programs of ours write to standard output, too: what is meant for the asker is marked."""
    print(f"@{said}", flush=True)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    part = {"gateway": gateway_costs, "services": service_costs}[sys.argv[1]]
    with asyncio.Runner(loop_factory=NotingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, NotingLoop)
        runner.run(part(loop))
    tell("end")


if __name__ == "__main__":
    main()
