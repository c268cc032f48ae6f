"""What anybody may ask of a service: exactly what its manifest says, in nobody's name, with no token on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jose import jwt
from unit.api.components import ADMIN, House, make_house

from api.auth.authentication import ANONYMOUS
from api.gateway.activation import Activation
from api.gateway.gateway import Gateway
from api.gateway.handlers import gateway_handlers
from api.gateway.replica import ReplicaStore
from controller.runtime.endpoints import Endpoint, Endpoints
from controller.store.records import Record
from crds.errors import ApiError
from crds.kinds.service import service_key
from services.sdk.discovery import managed_services
from services.webhook_manager.manifest import MANIFEST

pytestmark = pytest.mark.anyio
PATH = "/services/webhook-manager/inbound/default/github"


class Carried(Gateway):
    """Writes down what would go to the service."""

    carried: list[tuple[str, bytes, dict[bytes, bytes]]]

    async def _forward(
        self, scope: Any, receive: Any, send: Any, asker: str, service: str, target: bytes, headers: Any
    ) -> int:
        self.carried.append((service, target, dict(headers)))
        return 202


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(tmp_path)
    yield made
    await made.close()


def gateway_of(house: House) -> Carried:
    def nobody(access_key: str) -> Any:
        raise AssertionError(access_key)

    gateway = Carried(house.balancer, house.tokens, house.authorizer, (MANIFEST,), house.clock, nobody)
    gateway.carried = []
    return gateway


async def ask(house: House, gateway: Gateway, method: str, path: str, *headers: tuple[bytes, bytes]) -> int:
    """The code: of the service's answer, or of the refusal."""
    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "raw_path": path.encode()}
    scope |= {"query_string": b"", "headers": [*headers], "client": ("198.51.100.7", 5)}
    handler = next(each for each in gateway_handlers(gateway, house.authenticator) if each.matches(scope))

    async def nothing(*_: Any) -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    sent: Any = nothing
    try:
        await handler.serve(scope, nothing, sent, (b"x-request-id", b"r"))
    except ApiError as error:
        return error.code
    return 202


async def test_it_goes_on_in_nobody_s_name_whoever_asks(house: House) -> None:
    gateway = gateway_of(house)
    token = house.bearer(ADMIN)["authorization"].encode()
    proofs = (
        (b"authorization", token),
        (b"cookie", b"aerekos-session=x; other=y"),
        (b"x-aerekos-identity", b"forged"),
        (b"x-aerekos-on-behalf-of", b"forged"),
        (b"x-hub-signature-256", b"sha256=00"),
    )
    for headers in ((), proofs):
        assert await ask(house, gateway, "POST", PATH, *headers) == 202
    for service, target, told in gateway.carried:
        assert (service, target) == ("webhook-manager", b"/inbound/default/github")
        claims = jwt.get_unverified_claims(told[b"x-aerekos-identity"].decode())
        assert (claims["sub"], claims["aud"]) == (ANONYMOUS.name, "webhook-manager")
        assert not {b"authorization", b"cookie", b"x-aerekos-on-behalf-of"} & set(told)
    assert gateway.carried[1][2][b"x-hub-signature-256"] == b"sha256=00"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", PATH),
        ("PUT", PATH),
        ("POST", "/services/webhook-manager/endpoints/default/e/messages"),
        ("POST", "/services/webhook-manager/inbound"),
        ("POST", "/services/webhook-manager//inbound/default/github"),
        ("POST", "/services/webhook-manager/x/../inbound/default/github"),
        ("POST", "/services/webhook-manager/%69nbound/default/github"),
        ("POST", "/services/key-manager/inbound/default/github"),
        ("POST", "/services//inbound/default/github"),
    ],
)
async def test_all_else_wants_to_know_who_asks(method: str, path: str, house: House) -> None:
    gateway = gateway_of(house)
    assert await ask(house, gateway, method, path) == 401
    assert gateway.carried == []


async def test_nobody_wakes_a_service_that_sleeps(house: House) -> None:
    store, endpoints, wanted = ReplicaStore(), Endpoints(), list[str]()
    gateway = gateway_of(house)
    gateway._activation = Activation(store, endpoints, wanted.append)
    key = service_key("webhook-manager", "default")
    spec = b'{"spec": {"managed": "webhook_manager", "activation": "onDemand"}}'
    store.apply(Record(1, key, "u", "created", 1, spec, 0, house.clock.now(), ""))
    assert await ask(house, gateway, "POST", PATH) == 503
    assert (gateway.carried, wanted) == ([], [])
    endpoints.put(key, "u", [Endpoint("webhook-manager-0", "127.0.0.1:1001")])
    assert await ask(house, gateway, "POST", PATH) == 202


def test_who_is_open_to_anybody_is_written_here() -> None:
    """A service that opens more has this test changed, and is looked at by whoever reads that."""
    opened = [(each.name, one.method, one.prefix) for each in managed_services() for one in each.public]
    assert opened == [("queue_manager", "GET", "/sns/"), ("webhook_manager", "POST", "/inbound/")]
