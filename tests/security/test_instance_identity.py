"""An address proves nothing. The gateway speaks to who proves to be that Service, and an instance to the gateway
alone: whoever sits on the port, listens on the wire or asks from the same machine gets nothing.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from unit.api.components import ADMIN, House, make_house

from agent.conductor_client import ConductorClient
from agent.errors import Unreachable
from api.auth.principal import AUTHENTICATED, SERVICES, Principal
from api.auth.routes.certificates import certificate_routes
from api.gateway.mutual_tls import MutualTls
from api.gateway.reverse_proxy import ReverseProxy
from api.rest import rest_app
from api.tls import INSTANCE_SECONDS, CertificateAuthority
from controller.kit.clock import LoopClock, SystemClock
from controller.kit.virtual import VirtualLoop
from controller.runtime.probes import NetworkProber
from controller.runtime.swarm.healthcheck import healthcheck
from crds.errors import Unauthorized, Unavailable
from crds.managed import default_probes
from services.sdk.app import ServiceApp
from services.sdk.asgi import send_json
from services.sdk.certificate import InstanceCertificate, load_chain
from services.sdk.edge.http_server import AT_ONCE
from services.sdk.health import Check
from services.sdk.server import open_server
from services.sdk.service import Service
from services.sdk.testing import FakeConductor, MemoryResources, fake_context

pytestmark = pytest.mark.anyio
KMS = "key-manager"
Running = tuple[str, FakeConductor, InstanceCertificate]
SECRET = b"the plaintext of somebody else"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("tls"), now=datetime.now(UTC))


def signed_for(authority: CertificateAuthority, service: str, now: datetime | None = None) -> Callable[[str], Any]:
    async def sign(request: str) -> dict[str, Any]:
        chain = authority.for_instance(request.encode(), service, "default", now or datetime.now(UTC))
        return {"certificate": chain.decode(), "expiresIn": INSTANCE_SECONDS}

    return sign


async def certificate_of(
    authority: CertificateAuthority, service: str, now: datetime | None = None
) -> InstanceCertificate:
    made = InstanceCertificate(signed_for(authority, service, now), authority.ca_file, SystemClock())
    await made.obtain()
    return made


class OneAddress:
    """All services at one place."""

    def __init__(self, address: str) -> None:
        self.address = address

    def candidates(self, service: str, namespace: str = "default") -> list[str]:
        return [self.address]

    def record_success(self, address: str) -> None: ...

    def record_failure(self, address: str) -> None: ...


@asynccontextmanager
async def genuine(authority: CertificateAuthority, folder: Path) -> AsyncIterator[Running]:
    """A real instance that tells who called."""
    conductor = FakeConductor()
    instance = fake_context("key_manager", folder, conductor, MemoryResources())
    instance.certificate = await certificate_of(authority, KMS)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send_json(send, 200, {"caller": scope["state"]["caller"].name})

    served = ServiceApp(instance, Service(app=app, checks=[Check("always", lambda: None)]))
    server = await open_server(served, "127.0.0.1", 0, instance.certificate.context)
    async with served.running():
        server.start()
        try:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", conductor, instance.certificate
        finally:
            await server.stop(AT_ONCE)
    await instance.client.aclose()


@asynccontextmanager
async def impostor(tls: ssl.SSLContext | None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Somebody else on that port, who notes whatever is sent and answers as if all were well."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(65536):
                heard.append(chunk)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                await writer.drain()
        except OSError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", heard
    finally:
        server.close()


async def through(authority: CertificateAuthority, address: str, token: str = "") -> tuple[int, bytes]:
    """What a request with a secret body gets through the gateway. Raises Unavailable."""
    proxy = ReverseProxy(OneAddress(address), MutualTls(authority, [KMS], SystemClock()))
    told: list[Any] = []
    asked = [{"type": "http.request", "body": SECRET, "more_body": False}]

    async def receive() -> Any:
        if not asked:
            await anyio.sleep_forever()
        return asked.pop()

    async def send(message: Any) -> None:
        told.append(message)

    headers = [(b"host", b"x"), (b"content-length", str(len(SECRET)).encode())]
    headers += [(b"x-aerekos-identity", token.encode())] if token else []
    try:
        await proxy.forward({"method": "POST"}, receive, send, service=KMS, target=b"/", headers=headers)
    finally:
        await proxy.close()
    return told[0]["status"], b"".join(each.get("body", b"") for each in told[1:])


async def test_the_gateway_reaches_who_proves_to_be_that_service(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    async with genuine(authority, tmp_path) as (address, conductor, _):
        code, body = await through(authority, address, conductor.token("ann", KMS))
        assert (code, body) == (200, b'{"caller":"ann"}')


def self_signed() -> ssl.SSLContext:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    now, host = datetime.now(UTC), x509.SubjectAlternativeName([x509.DNSName(f"{KMS}.default.svc")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(host, critical=False).sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return with_chain(pem)


def with_chain(pem: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_chain(context, pem)
    return context


async def foreign(authority: CertificateAuthority, which: str) -> ssl.SSLContext | None:
    match which:
        case "no TLS at all":
            return None
        case "a certificate of its own making":
            return self_signed()
        case "another service's certificate":
            return (await certificate_of(authority, "storage-manager")).context
        case "another namespace's":
            key, request = _csr(ec.generate_private_key(ec.SECP256R1()))
            return with_chain(authority.for_instance(request, KMS, "team-a", datetime.now(UTC)) + key)
        case "a client's certificate":
            return with_chain(authority.for_gateway(datetime.now(UTC)))
        case "the API's own":
            certificate, key_file = authority.server(["127.0.0.1", "localhost"])
            return with_chain(certificate.read_bytes() + key_file.read_bytes())
        case _:
            return (await certificate_of(authority, KMS, datetime.now(UTC) - timedelta(days=2))).context


@pytest.mark.parametrize(
    "which",
    [
        "no TLS at all",
        "a certificate of its own making",
        "another service's certificate",
        "another namespace's",
        "a client's certificate",
        "the API's own",
        "one that has expired",
    ],
)
async def test_a_foreign_process_on_the_port_gets_nothing(authority: CertificateAuthority, which: str) -> None:
    async with impostor(await foreign(authority, which)) as (address, heard):
        with pytest.raises(Unavailable):
            await through(authority, address, "a.token.of.ann")
    told = b"".join(heard)
    assert SECRET not in told and b"POST" not in told and b"a.token" not in told
    assert which == "no TLS at all" or not heard


async def test_an_agent_takes_no_service_for_the_conductor(authority: CertificateAuthority, tmp_path: Path) -> None:
    """Certificates of services are of the conductor's CA: who took one over would be told a worker's secret."""
    chain = await foreign(authority, "another service's certificate")
    assert chain is not None
    async with impostor(chain) as (address, heard):
        door = ConductorClient([f"https://{address}"], SystemClock())
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            await door.post("/auth/token", {"clientSecret": SECRET.decode()}, ca=authority.ca_file.read_text())
        await door.close()
        assert heard == []


async def ask(address: str, path: str, context: ssl.SSLContext, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(verify=context, trust_env=False) as client:
        return await client.get(f"https://{address}{path}", headers=headers)


def client_context(authority: CertificateAuthority, pem: bytes = b"") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.ca_file))
    context.check_hostname = False
    if pem:
        load_chain(context, pem)
    return context


async def test_without_the_gateway_s_certificate_an_instance_tells_only_how_it_is(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    async with genuine(authority, tmp_path) as (address, conductor, _):
        nobody = client_context(authority)
        for path in ("/health", "/ready", "/metrics"):
            assert (await ask(address, path, nobody)).status_code == 200
        assert (await ask(address, "/", nobody)).status_code == 401
        stolen = conductor.token("ann", KMS)
        for path in ("/", "/health", "/keys"):
            assert (await ask(address, path, nobody, **{"x-aerekos-identity": stolen})).status_code == 401


async def test_nor_does_the_admin_s_certificate_open_it(authority: CertificateAuthority, tmp_path: Path) -> None:
    certificate, key = authority.client("admin", "local-admin", ["system:masters"])
    admin = client_context(authority, certificate.read_bytes() + key.read_bytes())
    async with genuine(authority, tmp_path) as (address, conductor, _):
        stolen = conductor.token("ann", KMS)
        assert (await ask(address, "/", admin, **{"x-aerekos-identity": stolen})).status_code == 401


async def test_an_instance_s_certificate_is_nobody_s_credential(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    """Not at another instance, which refuses it in the handshake."""
    key, request = _csr(ec.generate_private_key(ec.SECP256R1()))
    mine = authority.for_instance(request, "storage-manager", "default", datetime.now(UTC))
    async with genuine(authority, tmp_path) as (address, conductor, _):
        stolen = conductor.token("ann", KMS)
        with pytest.raises(httpx.TransportError):
            await ask(address, "/", client_context(authority, mine + key), **{"x-aerekos-identity": stolen})


async def test_the_gateway_s_certificate_alone_is_not_enough(authority: CertificateAuthority, tmp_path: Path) -> None:
    gateway = client_context(authority, authority.for_gateway(datetime.now(UTC)))
    async with genuine(authority, tmp_path) as (address, conductor, _):
        assert (await ask(address, "/", gateway)).status_code == 401
        other = conductor.token("ann", "storage-manager")
        assert (await ask(address, "/", gateway, **{"x-aerekos-identity": other})).status_code == 401
        old = client_context(authority, authority.for_gateway(datetime.now(UTC) - timedelta(days=2)))
        with pytest.raises(httpx.TransportError):
            await ask(address, "/", old, **{"x-aerekos-identity": conductor.token("ann", KMS)})


async def test_in_plain_http_it_says_nothing(authority: CertificateAuthority, tmp_path: Path) -> None:
    async with genuine(authority, tmp_path) as (address, _, _), httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.TransportError):
            await client.get(f"http://{address}/health")


async def test_probes_speak_tls(authority: CertificateAuthority, tmp_path: Path) -> None:
    """In both runtimes: the process driver's own, and the command Docker runs in the container."""
    probes = default_probes()
    async with genuine(authority, tmp_path) as (address, _, _):
        for probe in (probes.liveness, probes.readiness):
            assert probe is not None and await NetworkProber().ask(probe, address, {}) is None
        command = healthcheck(probes, int(address.rpartition(":")[2]))["Test"]
        assert command[0] == "CMD-SHELL"
        assert (await anyio.run_process(["sh", "-c", command[1]], check=False)).returncode == 0
    assert probes.liveness is not None and await NetworkProber().ask(probes.liveness, address, {}) is not None
    assert (await anyio.run_process(["sh", "-c", command[1]], check=False)).returncode != 0


async def test_a_renewed_certificate_serves_the_next_connection(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    def serial(address: str) -> int:
        host, _, port = address.rpartition(":")
        return x509.load_pem_x509_certificate(ssl.get_server_certificate((host, int(port))).encode()).serial_number

    async with genuine(authority, tmp_path) as (address, conductor, certificate):
        before = await asyncio.to_thread(serial, address)
        await certificate.obtain()
        assert await asyncio.to_thread(serial, address) != before
        assert (await through(authority, address, conductor.token("ann", KMS)))[0] == 200


def test_it_is_renewed_at_half_its_life_for_as_long_as_it_runs(authority: CertificateAuthority) -> None:
    asked: list[float] = []

    async def story() -> None:
        clock = LoopClock()
        sign = signed_for(authority, KMS)

        async def counted(request: str) -> dict[str, Any]:
            asked.append(clock.monotonic())
            return dict(await sign(request))

        certificate = InstanceCertificate(counted, authority.ca_file, clock)
        await certificate.obtain()
        with anyio.move_on_after(3 * INSTANCE_SECONDS):
            await certificate.run()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(story())
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert len(gaps) >= 5 and all(gap <= INSTANCE_SECONDS / 2 + 31 for gap in gaps)


def test_the_gateway_renews_its_own(authority: CertificateAuthority) -> None:
    class Hand(SystemClock):
        moment = 0.0

        def monotonic(self) -> float:
            return self.moment

    made: list[datetime] = []

    class Counting(CertificateAuthority):
        def for_gateway(self, now: datetime) -> bytes:
            made.append(now)
            return super().for_gateway(now)

    clock = Hand()
    tls = MutualTls(Counting(authority.ca_file.parent, now=datetime.now(UTC)), [KMS], clock)
    for moment, times in ((0.0, 1), (INSTANCE_SECONDS / 2 - 1, 1), (INSTANCE_SECONDS / 2, 2)):
        clock.moment = moment
        tls.context()
        assert len(made) == times


# Who gets a certificate, and for whom.


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    await made.add_user("eve", "admin")
    await made.add_service(KMS)
    yield made
    await made.close()


def _csr(key: ec.EllipticCurvePrivateKey, name: str = "") -> tuple[bytes, bytes]:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if name:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem, builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


async def wanted(house: House, authority: CertificateAuthority, who: Principal, request: str) -> httpx.Response:
    app = rest_app([certificate_routes(authority, house.authenticator, house.clock)])
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://x", headers=house.bearer(who)) as client:
        return await client.post("/auth/certificates", json={"request": request})


async def test_a_service_gets_one_for_itself_whatever_it_asks(house: House, authority: CertificateAuthority) -> None:
    _, request = _csr(ec.generate_private_key(ec.SECP256R1()), "storage-manager.default.svc")
    me = Principal(f"system:service:{KMS}", frozenset({SERVICES, AUTHENTICATED}))
    answer = (await wanted(house, authority, me, request.decode())).json()
    made = x509.load_pem_x509_certificate(answer["certificate"].encode())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [f"{KMS}.default.svc"]
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert made.not_valid_after_utc - made.not_valid_before_utc <= timedelta(days=1, minutes=5)


async def test_nobody_else_gets_one(house: House, authority: CertificateAuthority) -> None:
    _, request = _csr(ec.generate_private_key(ec.SECP256R1()))
    for who in (ADMIN, Principal("eve", frozenset())):
        assert (await wanted(house, authority, who, request.decode())).status_code == 403


@pytest.mark.parametrize("request_", ["", "nonsense", "-----BEGIN CERTIFICATE REQUEST-----\n", "tampered"])
async def test_a_request_that_is_none_is_refused(
    house: House, authority: CertificateAuthority, request_: str
) -> None:
    if request_ == "tampered":
        _, pem = _csr(ec.generate_private_key(ec.SECP256R1()), "a.b")
        der = bytearray(x509.load_pem_x509_csr(pem).public_bytes(serialization.Encoding.DER))
        der[-1] ^= 1
        request_ = ssl.DER_cert_to_PEM_cert(bytes(der)).replace("CERTIFICATE", "CERTIFICATE REQUEST")
    me = Principal(f"system:service:{KMS}", frozenset({SERVICES, AUTHENTICATED}))
    assert (await wanted(house, authority, me, request_)).status_code == 422


async def test_the_gateway_s_certificate_is_nobody_at_the_api(house: House) -> None:
    for name in ("system:gateway", f"system:service:{KMS}", "system:conductor"):
        peer = ((("commonName", name),),)
        with pytest.raises(Unauthorized):
            house.authenticator.authenticate({"headers": [], "extensions": {"aerekos.peer": peer}})
