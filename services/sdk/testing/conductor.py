"""The conductor as a service sees it, without its resources: identities, signing keys, and who may what."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jose import jwk, jwt

from controller.kit.clock import Clock, SystemClock
from crds.errors import NotFound
from crds.managed import ManagedService
from services.sdk.aws.sigv4 import derive_key
from services.sdk.aws.verifier import Owner
from services.sdk.context import ServiceContext
from services.sdk.identity import ALGORITHM, HEADER, ISSUER, ON_BEHALF_OF
from services.sdk.service import Service, create_service
from services.sdk.testing.identities import FakeIdentities
from services.sdk.testing.memory_resources import MemoryResources


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
        self.identities = FakeIdentities(self.clock)
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
        if path == "/auth/policies":
            user = jwt.get_unverified_claims(request.headers[ON_BEHALF_OF])["sub"]
            return self.identities.policies_of(user)
        if path.startswith("/auth/access-keys"):
            return self.identities.access_keys(request, path.removeprefix("/auth/access-keys").lstrip("/"), body)
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


class GatewayIdentity(httpx.Auth):
    """What the gateway puts on the requests of one user to one service: a fresh identity on each."""

    def __init__(self, conductor: FakeConductor, audience: str, user: User) -> None:
        self._conductor, self._audience, self._user = conductor, audience, user

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        who = self._user
        request.headers[HEADER] = self._conductor.token(who.name, self._audience, groups=who.groups, ns=who.namespace)
        yield request


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


def _text(fields: dict[str, Any]) -> dict[str, str]:
    return {name: value.decode() if isinstance(value, bytes) else str(value) for name, value in fields.items()}
