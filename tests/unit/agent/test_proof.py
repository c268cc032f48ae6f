"""Joining with a token that pins no CA: the conductor proves that it knows the token's secret, or gets nothing."""

from __future__ import annotations

import hashlib
import hmac
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from unit.api.components import HOW, make_house

from agent.conductor_client import ConductorClient
from agent.errors import CannotJoin
from agent.join import join
from agent.settings import Settings
from api.auth.join_tokens import JoinTokens
from api.auth.principal import Principal
from api.auth.routes.identities import identity_routes
from api.rest import rest_app
from api.tls import CertificateAuthority
from controller.kit.clock import SystemClock
from crds.kinds.join_token import JOIN_TOKEN
from crds.model import rfc3339

pytestmark = pytest.mark.anyio
SECRET = "0123456789abcdef" * 2
JOINED = {"worker": "oak", "clientId": "worker:oak", "clientSecret": "s", "ca": ""}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def pem(tmp_path: Path) -> str:
    return CertificateAuthority(tmp_path / "tls", now=datetime.now(UTC)).ca_file.read_text()


class Conductor:
    """Answers as the protocol says, with the secret it knows: the proof is written out here once more."""

    def __init__(self, pem: str, secret: str = SECRET) -> None:
        self.pem, self.secret = pem, secret
        self.nonces: list[str] = []
        self.tokens: list[str] = []
        self.spoiled = b""

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/join":
            self.tokens.append(httpx.Response(200, content=request.content).json()["token"])
            return httpx.Response(200, json=JOINED)
        asked = request.url.params
        self.nonces.append(asked["nonce"])
        key = hashlib.sha256(self.secret.encode()).digest()
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.pem)).digest()
        proof = hmac.new(key, bytes.fromhex(asked["nonce"]) + digest, "sha256").hexdigest()
        shown = [(b"X-Aerekos-Proof", self.spoiled or proof.encode())]
        return httpx.Response(200, text=self.pem, headers=shown)

    def client(self, verify: object) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self.answer))


async def joined(conductor: Conductor, settings: Settings) -> str:
    door = ConductorClient(settings.api, SystemClock(), conductor.client)
    try:
        return (await join(settings, door, conductor.client)).ca
    finally:
        await door.close()


def settings(tmp_path: Path, **more: object) -> Settings:
    return Settings(**{"name": "oak", "home": tmp_path, "api": ("https://a",), "token": f"t.{SECRET}", **more})  # type: ignore[arg-type]


async def test_who_knows_the_secret_is_believed(tmp_path: Path, pem: str) -> None:
    conductor = Conductor(pem)
    assert await joined(conductor, settings(tmp_path)) == pem
    assert conductor.tokens == [f"t.{SECRET}"]


async def test_each_question_is_a_new_one(tmp_path: Path, pem: str) -> None:
    conductor = Conductor(pem)
    for _ in range(2):
        await joined(conductor, settings(tmp_path))
    assert len(set(conductor.nonces)) == 2
    assert all(len(bytes.fromhex(each)) == 32 for each in conductor.nonces)


@pytest.mark.parametrize("spoiled", [b"", b"0" * 64, b"not hex", b"\xe4"])
async def test_who_does_not_know_it_gets_no_token(tmp_path: Path, pem: str, spoiled: bytes) -> None:
    conductor = Conductor(pem, secret="another secret")
    conductor.spoiled = spoiled
    with pytest.raises(CannotJoin, match="does not know the token's secret"):
        await joined(conductor, settings(tmp_path))
    assert not conductor.tokens


async def test_a_ca_that_is_none_is_refused(tmp_path: Path) -> None:
    conductor = Conductor("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    conductor.pem = "<html>a login page of some hotel</html>"
    conductor.answer = lambda _: httpx.Response(200, text=conductor.pem)  # type: ignore[method-assign]
    with pytest.raises(CannotJoin, match="not one PEM certificate"):
        await joined(conductor, settings(tmp_path))


@pytest.mark.parametrize("pinned", [True, False])
@pytest.mark.parametrize("ours_first", [True, False])
async def test_a_second_ca_beside_ours_is_not_trusted(
    tmp_path: Path, pem: str, pinned: bool, ours_first: bool
) -> None:
    """Somebody in between knows our CA as everybody does, can pass our proof on, and adds a CA of their own."""
    other = CertificateAuthority(tmp_path / "other", now=datetime.now(UTC)).ca_file.read_text()
    pin = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    between = Conductor(pem)
    honest = between.answer

    def both(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/join":
            return honest(request)
        proof = {} if pinned else {"X-Aerekos-Proof": honest(request).headers["X-Aerekos-Proof"]}
        return httpx.Response(200, text=pem + other if ours_first else other + pem, headers=proof)

    between.answer = both  # type: ignore[method-assign]
    given = settings(tmp_path, token=f"t.{SECRET}.{pin}" if pinned else f"t.{SECRET}")
    with pytest.raises(CannotJoin, match="not one PEM certificate"):
        await joined(between, given)
    assert not between.tokens


async def test_a_token_file_is_read_each_time(tmp_path: Path, pem: str) -> None:
    """Whoever rotates the secret does not restart the agents."""
    file = tmp_path / "token"
    file.write_text(f"t.{SECRET}\n")
    conductor, given = Conductor(pem), settings(tmp_path, token=None, token_file=file)
    await joined(conductor, given)
    conductor.secret = "rotated" * 5
    file.write_text(f"t.{conductor.secret}\n")
    await joined(conductor, given)
    assert conductor.tokens == [f"t.{SECRET}", f"t.{conductor.secret}"]


async def test_a_token_with_a_pin_asks_for_no_proof(tmp_path: Path, pem: str) -> None:
    pin = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    conductor = Conductor(pem)
    conductor.spoiled = b"none"
    given = settings(tmp_path, token=f"t.{SECRET}.{pin}")
    assert given.pin == pin
    conductor.answer = lambda request: (  # type: ignore[method-assign]
        httpx.Response(200, json=JOINED) if request.url.path == "/auth/join" else httpx.Response(200, text=pem)
    )
    assert await joined(conductor, given) == pem


async def test_the_real_conductor_answers_so(tmp_path: Path, pem: str) -> None:
    """Both sides of the protocol, as they are shipped."""
    house = await make_house(tmp_path)
    spec = {
        "secretSha256": hashlib.sha256(SECRET.encode()).hexdigest(),
        "expiresAt": rfc3339(house.clock.now() + timedelta(hours=1)),
        "uses": 1,
    }
    await house.registry.create(JOIN_TOKEN, "", {"metadata": {"name": "t"}, "spec": spec}, HOW)
    tokens = JoinTokens(house.registry, house.clock)
    authority, keys = pem.encode(), house.tokens.keys
    app = rest_app([identity_routes(house.accounts, house.authenticator, keys, tokens, authority, house.clock, {})])

    def client(verify: object) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(app))

    given = settings(tmp_path)
    door = ConductorClient(given.api, SystemClock(), client)
    identity = await join(given, door, client)
    assert identity.worker == "oak" and identity.ca == pem
    who = Principal(f"system:worker:{identity.worker}", frozenset())
    assert who.worker == "oak"
    await door.close()
    await house.close()
