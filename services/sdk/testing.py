"""A whole managed service in a test: real HTTP on loopback, real AWS clients, a conductor made of memory.

    with serving("notes_manager", secrets={"root-key": bytes(32)}) as harness:
        kms = harness.boto3_client("kms")

`harness.conductor` knows users and answers reviews (`refuse`), `harness.resources` are the resources. No sleeping:
`serving` returns when the server listens and the caches are filled.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import secrets as random_secrets
import tempfile
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

import anyio
import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jose import jwk, jwt

from controller.client.protocol import ChangeType, Listing, Propagation, WatchEvent
from controller.kit.clock import Clock, SystemClock
from controller.reconcile.informer import Informers
from controller.resources.merge_patch import merge_patch
from crds.errors import AlreadyExists, Conflict, NotFound, not_found
from crds.kind import Kind, KubeObject
from crds.managed import ManagedService
from services.sdk.app import ServiceApp
from services.sdk.asgi import Asgi, Receive, Scope, Send, header_of, send_bytes
from services.sdk.aws.error_bodies import error_body
from services.sdk.aws.errors import AwsError, SignatureError
from services.sdk.aws.sigv4 import derive_key
from services.sdk.aws.verifier import Owner, SignatureVerifier, payload_headers
from services.sdk.context import ServiceContext
from services.sdk.discovery import managed_service
from services.sdk.edge.server import LimitedServer
from services.sdk.identity import ALGORITHM, ISSUER, ON_BEHALF_OF
from services.sdk.server import server_for
from services.sdk.service import Service, create_service

M = TypeVar("M", bound=KubeObject)


@dataclass
class MemoryResources:
    """The Resources protocol over a dict. One revision for all; watches are queues. Not for other threads."""

    clock: Clock = field(default_factory=SystemClock)
    revision: int = 0
    items: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    watchers: list[tuple[str, asyncio.Queue[tuple[ChangeType, dict[str, Any]]]]] = field(default_factory=list)

    async def get(self, kind: Kind[M], name: str, namespace: str | None = None) -> M:
        return kind.parse(self._body(kind, name, namespace))

    async def list(
        self, kind: Kind[M], namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Listing[M]:
        found = [
            kind.parse(body)
            for (plural, where, _), body in self.items.items()
            if plural == kind.plural and namespace in (None, where)
        ]
        return Listing(found, self.revision)

    @asynccontextmanager
    async def watch(
        self, kind: Kind[M], *, after: int, namespace: str | None = None
    ) -> AsyncIterator[AsyncIterator[WatchEvent[M]]]:
        queue: asyncio.Queue[tuple[ChangeType, dict[str, Any]]] = asyncio.Queue()
        self.watchers.append((kind.plural, queue))
        try:
            yield _steps(kind, queue)
        finally:
            self.watchers.remove((kind.plural, queue))

    async def create(self, kind: Kind[M], resource: M) -> M:
        key = self._key(kind, resource.metadata.name, resource.metadata.namespace)
        if key in self.items:
            raise AlreadyExists(f'{kind.resource} "{resource.metadata.name}" already exists')
        body = {**resource.wire(), "apiVersion": kind.api_version, "kind": kind.name}
        now = self.clock.now().replace(microsecond=0).isoformat().replace("+00:00", "Z")
        made = {"uid": str(uuid.uuid4()), "creationTimestamp": now, "generation": 1}
        body["metadata"] = {**body["metadata"], **made, **({"namespace": key[1]} if key[1] else {})}
        return kind.parse(self._write("ADDED", key, body))

    async def replace(self, kind: Kind[M], resource: M) -> M:
        here = self._body(kind, resource.metadata.name, resource.metadata.namespace)
        if here["metadata"]["resourceVersion"] != resource.metadata.resource_version:
            raise Conflict(f"{resource.metadata.name} changed since it was read")
        key = self._key(kind, resource.metadata.name, resource.metadata.namespace)
        return kind.parse(self._write("MODIFIED", key, resource.wire()))

    async def patch(
        self,
        kind: Kind[M],
        name: str,
        patch: dict[str, Any],
        namespace: str | None = None,
        *,
        subresource: Literal["", "status"] = "",
    ) -> M:
        here = self._body(kind, name, namespace)
        expected = (patch.get("metadata") or {}).get("resourceVersion")
        if expected and expected != here["metadata"]["resourceVersion"]:
            raise Conflict(f"{name} changed since it was read")
        merged = merge_patch(here, patch)
        kind.parse(merged)
        return kind.parse(self._write("MODIFIED", self._key(kind, name, namespace), merged))

    async def delete(
        self,
        kind: Kind[M],
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        propagation: Propagation = "Background",
    ) -> None:
        body = self._body(kind, name, namespace)
        if uid and body["metadata"]["uid"] != uid:
            raise Conflict(f"{name} is another one by now")
        key = self._key(kind, name, namespace)
        self._write("DELETED", key, body)
        del self.items[key]

    def _key(self, kind: Kind[Any], name: str, namespace: str | None) -> tuple[str, str, str]:
        return kind.plural, (namespace or "default") if kind.namespaced else "", name

    def _body(self, kind: Kind[Any], name: str, namespace: str | None) -> dict[str, Any]:
        body = self.items.get(self._key(kind, name, namespace))
        if body is None:
            raise not_found(kind.key(name, namespace))
        return body

    def _write(self, change: ChangeType, key: tuple[str, str, str], body: dict[str, Any]) -> dict[str, Any]:
        self.revision += 1
        body = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.revision)}}
        self.items[key] = body
        for plural, queue in self.watchers:
            if plural == key[0]:
                queue.put_nowait((change, body))
        return body


async def _steps(
    kind: Kind[M], queue: asyncio.Queue[tuple[ChangeType, dict[str, Any]]]
) -> AsyncIterator[WatchEvent[M]]:
    while True:
        change, body = await queue.get()
        yield WatchEvent(change, kind.parse(body), int(body["metadata"]["resourceVersion"]))


@asynccontextmanager
async def watched(resources: MemoryResources, *kinds: Kind[Any]) -> AsyncIterator[Informers]:
    """What a loop has seen of those kinds, for the `World` of a reconciler."""
    async with anyio.create_task_group() as tasks:
        seen = Informers(kinds, resources, random.Random(1))  # noqa: S311 - spreads reconnections
        seen.start(tasks)
        await seen.wait_synced()
        yield seen
        tasks.cancel_scope.cancel()


@dataclass
class User:
    """Somebody with an AWS key pair."""

    name: str = "admin"
    groups: tuple[str, ...] = ("aerekos:admin",)
    namespace: str = "default"
    access_key: str = "AKIATESTTESTTESTTEST"
    secret: str = "test-secret-key"  # noqa: S105 - tests only


class FakeConductor:
    """Signs identities, hands out signing keys, answers reviews: everything allowed but what `refuse` names."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.users = {User().access_key: User()}
        self.refused: set[tuple[str, str]] = set()
        self.judge: Callable[[str, dict[str, str]], bool] | None = None
        """Whether that user may do what these `resourceAttributes` say; None allows all that was not refused."""
        self.reviews: list[tuple[str, str, str]] = []
        """User, verb and resource of everything that was asked."""
        private = ec.generate_private_key(ec.SECP256R1())
        self._pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        public = jwk.construct(self._pem, ALGORITHM).public_key().to_dict()
        self._jwks = {"keys": [{**_text(public), "kid": "test"}]}

    def add(self, user: User) -> User:
        """Make `user` known by its access key."""
        self.users[user.access_key] = user
        return user

    def refuse(self, user: str, verb: str) -> None:
        """That user may not do that, to anything."""
        self.refused.add((user, verb))

    def token(self, sub: str, audience: str, **claims: Any) -> str:
        """An identity, valid for a minute unless claims say otherwise."""
        now = self.clock.now()
        base = {"iss": ISSUER, "sub": sub, "groups": [], "aud": audience, "ns": "default"}
        times = {"iat": int(now.timestamp()), "exp": int((now + timedelta(minutes=1)).timestamp())}
        signed: str = jwt.encode({**base, **times, **claims}, self._pem, ALGORITHM, headers={"kid": "test"})
        return signed

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """What `httpx.MockTransport` asks."""
        path = request.url.path
        body = json.loads(request.content or b"{}")
        if path == "/auth/jwks":
            return httpx.Response(200, json=self._jwks)
        if path == "/auth/signing-keys":
            return self._signing_key(body)
        if path.endswith("/selfsubjectaccessreviews"):
            user = jwt.get_unverified_claims(request.headers[ON_BEHALF_OF])["sub"]
            return httpx.Response(201, json={"status": {"allowed": self._allows(user, body["spec"])}})
        return httpx.Response(404, json={"kind": "Status", "reason": "NotFound", "message": path})

    def _allows(self, user: str, spec: dict[str, Any]) -> bool:
        wanted = spec["resourceAttributes"]
        self.reviews.append((user, wanted["verb"], wanted["resource"]))
        if (user, wanted["verb"]) in self.refused:
            return False
        return self.judge is None or self.judge(user, wanted)

    def _signing_key(self, wanted: dict[str, str]) -> httpx.Response:
        user = self.users.get(wanted["accessKeyId"])
        if user is None:
            return httpx.Response(404, json={"kind": "Status", "reason": "NotFound", "message": "unknown key"})
        key = derive_key(user.secret, wanted["date"], wanted["region"], wanted["service"])
        return httpx.Response(200, json={"signingKey": base64.b64encode(key).decode(), "expiresIn": 60})

    def owner(self, access_key: str) -> Owner[User]:
        """As the gateway asks. Raises NotFound."""
        user = self.users.get(access_key)
        if user is None:
            raise NotFound(access_key)
        return Owner(user, user.secret)


def fake_context(
    service: str,
    folder: Path,
    conductor: FakeConductor,
    resources: MemoryResources,
    secrets: Mapping[str, bytes] | None = None,
) -> ServiceContext:
    """An instance that talks to the fakes. In whose name resources are touched is not checked here."""
    paths = {}
    for name, content in (secrets or {}).items():
        paths[name] = folder / name
        paths[name].write_bytes(content)
    return ServiceContext(
        name=f"{service.replace('_', '-')}-0",
        service=service,
        host="127.0.0.1",
        port=0,
        data=folder,
        api="http://conductor",
        client=httpx.AsyncClient(base_url="http://conductor", transport=httpx.MockTransport(conductor.answer)),
        secrets=paths,
        clock=conductor.clock,
        make_resources=lambda caller: resources,
    )


def created(manifest: ManagedService, folder: Path) -> Service:
    """The parts of that service, made of nothing but fakes and secrets of 32 zeros. Nothing of it runs."""
    conductor = FakeConductor()
    secrets = dict.fromkeys(manifest.secrets, bytes(32))
    context = fake_context(manifest.name, folder, conductor, MemoryResources(conductor.clock), secrets)
    return create_service(manifest, context)


@dataclass
class ServiceHarness:
    """A running service."""

    url: str
    conductor: FakeConductor
    resources: MemoryResources
    context: ServiceContext
    loop: asyncio.AbstractEventLoop

    def boto3_client(self, service: str, user: User | None = None, **options: Any) -> Any:
        """A real client that signs as `user`, without retries."""
        import boto3
        from botocore.config import Config

        who = user or User()
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=who.access_key,
            aws_secret_access_key=who.secret,
            config=Config(retries={"total_max_attempts": 1}, **options),
        )

    def http(self, user: User | None = None) -> httpx.Client:
        """A client of its plain routes, as the gateway lets `user` in. Close it."""
        who = user or User()
        token = self.conductor.token(who.name, self.context.service_name, groups=who.groups, ns=who.namespace)
        return httpx.Client(base_url=self.url, headers={"X-Aerekos-Identity": token})

    def peer_client(self, caller: str) -> httpx.AsyncClient:
        """How the managed service `caller` (`notes-manager`) reaches this one."""
        audience = self.context.service_name
        token = self.conductor.token(f"system:service:{caller}", audience, groups=["system:services"])
        return httpx.AsyncClient(base_url=self.url, headers={"X-Aerekos-Identity": token})

    def run(self, work: Any) -> Any:
        """The result of a coroutine, run in the service's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)


@contextmanager
def serving(
    service: str | ManagedService,
    *,
    secrets: Mapping[str, bytes] | None = None,
    clock: Clock | None = None,
    peer: Callable[[str], httpx.AsyncClient] | None = None,
) -> Iterator[ServiceHarness]:
    """That managed service on a free loopback port, behind a gateway that adds identities.

    `peer`: the clients it reaches other managed services with, such as `ServiceHarness.peer_client` of another one.
    """
    manifest = service if isinstance(service, ManagedService) else managed_service(service)
    if manifest is None:
        raise LookupError(f"there is no managed service {service!r}")
    conductor = FakeConductor(clock)
    started: list[ServiceHarness | BaseException] = []
    ready, stop = threading.Event(), asyncio.Event()

    async def main() -> None:
        resources = MemoryResources(conductor.clock)
        with tempfile.TemporaryDirectory() as folder:
            context = fake_context(manifest.name, Path(folder), conductor, resources, secrets)
            context.make_peer = peer
            app = ServiceApp(context, create_service(manifest, context), reconciles=False)
            gateway = _gateway(app, conductor, context, manifest)
            server = server_for(gateway, "127.0.0.1", 0)
            task = asyncio.create_task(_serve(server))
            while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn offers no event
                await asyncio.sleep(0.001)
            port = server.servers[0].sockets[0].getsockname()[1]
            loop = asyncio.get_running_loop()
            started.append(ServiceHarness(f"http://127.0.0.1:{port}", conductor, resources, context, loop))
            ready.set()
            await stop.wait()
            server.should_exit = True
            await task

    def thread() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            started.append(error)
            ready.set()

    runner = threading.Thread(target=thread, name=f"serving {manifest.name}", daemon=True)
    runner.start()
    ready.wait(30)
    if not started or isinstance(started[0], BaseException):
        raise RuntimeError(f"{manifest.name} did not start") from (started[0] if started else None)  # type: ignore[misc]
    try:
        yield started[0]
    finally:
        started[0].loop.call_soon_threadsafe(stop.set)
        runner.join(15)


async def _serve(server: LimitedServer) -> None:
    await server.serve()


def _gateway(app: Asgi, conductor: FakeConductor, context: ServiceContext, manifest: ManagedService) -> Asgi:
    """The gateway: verifies signatures, and says by `X-Aerekos-Identity` who calls."""
    verifier = SignatureVerifier(conductor.owner, conductor.clock)

    def identified(scope: Scope, sub: str, **claims: Any) -> Scope:
        jti = random_secrets.token_hex(4)
        token = conductor.token(sub, context.service_name, jti=jti, **claims).encode()
        kept = [(name, value) for name, value in scope["headers"] if name != b"x-aerekos-identity"]
        return {**scope, "headers": [*kept, (b"x-aerekos-identity", token)]}

    async def gateway(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in ("/health", "/ready", "/metrics"):
            await app(scope, receive, send)
        elif for_somebody := header_of(scope, ON_BEHALF_OF.lower()):
            claims = jwt.get_unverified_claims(for_somebody)
            kept = {name: claims[name] for name in ("groups", "ns", "akid") if name in claims}
            act = {"sub": f"system:service:{claims['aud']}"}
            await app(identified(scope, claims["sub"], **kept, act=act), receive, send)
        elif header_of(scope, "x-aerekos-identity"):
            await app(scope, receive, send)
        else:
            await signed(scope, receive, send)

    async def signed(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            found = await verifier.verified(scope, receive, manifest.speaks)
        except (SignatureError, AwsError) as refused:
            error = refused.as_error(manifest.protocol) if isinstance(refused, SignatureError) else refused
            told = error_body(error, manifest.protocol, request_id="test", resource=scope["path"])
            await send_bytes(send, told.status, told.content, told.content_type.decode(), told.headers)
            return
        who, added = found.who, payload_headers(scope, found)
        claims = {"groups": who.groups, "ns": who.namespace, "akid": who.access_key}
        scope = identified({**scope, "headers": [*scope["headers"], *added]}, who.name, **claims)
        await app(scope, found.receive, send)

    return gateway


def _text(fields: dict[str, Any]) -> dict[str, str]:
    return {name: value.decode() if isinstance(value, bytes) else str(value) for name, value in fields.items()}
