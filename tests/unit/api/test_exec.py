"""Running commands over a WebSocket: whose word counts, and how a refusal is heard."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from unit.api.components import ADMIN, House

from api.exec import as_asked

pytestmark = pytest.mark.anyio
PEER = ((("commonName", "admin"),), (("organizationName", "system:masters"),))
HOST = (b"host", b"cloud.test:7443")
ORIGIN = (b"origin", b"https://elsewhere.test")


def asked(*headers: tuple[bytes, bytes], token: str = "") -> dict[str, Any]:
    encoded = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    bearer = [f"base64url.bearer.authorization.k8s.io.{encoded}"] if token else []
    return {
        "type": "websocket",
        "path": "/api/v1/namespaces/default/pods/kms-0/exec",
        "query_string": b"command=ls",
        "headers": list(headers),
        "extensions": {"aerekos.peer": PEER},
        "subprotocols": ["v5.channel.k8s.io", *bearer],
    }


def test_a_page_of_somebody_else_counts_by_its_token_alone() -> None:
    theirs = as_asked(asked(HOST, ORIGIN, token="secret"))
    assert (b"authorization", b"Bearer secret") in theirs["headers"]
    assert theirs["extensions"]["aerekos.peer"] == ()


@pytest.mark.parametrize(
    ("origin", "counts"),
    [
        (b"https://cloud.test:7443", True),  # the Python client says so of itself
        (b"https://cloud.test", False),
        (b"https://cloud.test:7443.elsewhere.test", False),
        (b"null", False),
        (b"", False),
    ],
)
def test_a_certificate_counts_with_our_own_origin(origin: bytes, counts: bool) -> None:
    theirs = as_asked(asked(HOST, (b"origin", origin)))
    assert theirs["extensions"]["aerekos.peer"] == (PEER if counts else ())


def test_without_an_origin_a_certificate_counts_and_a_header_wins() -> None:
    plain = as_asked(asked((b"authorization", b"Bearer mine"), token="other"))
    assert plain["headers"] == [(b"authorization", b"Bearer mine")]
    assert plain["extensions"]["aerekos.peer"] == PEER


async def _heard(house: House, scope: dict[str, Any]) -> list[Any]:
    heard: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        heard.append(message)

    await house.door(scope, receive, send)
    return heard


async def test_a_browser_hears_inside_the_socket_why_it_was_refused(house: House) -> None:
    accepted, told, closed = await _heard(house, asked(HOST, ORIGIN, token="old"))
    assert accepted == {"type": "websocket.accept", "subprotocol": "v5.channel.k8s.io"}
    assert told["bytes"][:1] == b"\x03"
    assert (orjson.loads(told["bytes"][1:])["code"], closed["code"]) == (401, 4401)
    token = house.bearer(ADMIN)["authorization"].removeprefix("Bearer ")
    _, told, closed = await _heard(house, asked(HOST, ORIGIN, token=token))
    assert closed["code"] == 4405  # known, but this runtime runs no commands


async def test_who_may_not_hears_it_by_the_answer_s_code(house: House) -> None:
    scope = asked()
    scope["extensions"] = {"websocket.http.response": {}}
    begun, _ = await _heard(house, scope)
    assert begun["status"] == 401
    foreign = asked(HOST, ORIGIN)
    foreign["extensions"]["websocket.http.response"] = {}
    begun, _ = await _heard(house, foreign)
    assert begun["status"] == 401
