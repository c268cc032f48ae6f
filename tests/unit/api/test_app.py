"""The road of a request: ids, what is answered without asking, how errors look, what is counted."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from structlog.testing import capture_logs
from unit.api.components import ADMIN, House

from api.asgi import Message, Receive, Scope, Send

pytestmark = pytest.mark.anyio
NAMESPACES = "/api/v1/namespaces"


async def test_every_door_answers_with_a_request_id(house: House) -> None:
    async with house.client(house.bearer(ADMIN)) as client:
        for path in ("/health", "/ready", "/metrics", "/version", "/catalog", NAMESPACES, "/auth/jwks", "/nowhere"):
            given = (await client.get(path, headers={"x-request-id": "abc-1"})).headers
            made = (await client.get(path)).headers
            assert given.get_list("x-request-id") == ["abc-1"], path
            assert re.fullmatch(r"[0-9a-f]{16}", made["x-request-id"]), path


@pytest.mark.parametrize("bad", ["", "a b", "x" * 65, "a\tb", "<script>", "a;b", 'a"b'])
async def test_a_request_id_that_could_do_harm_is_replaced(house: House, bad: str) -> None:
    async with house.client() as client:
        answer = await client.get("/health", headers={"x-request-id": bad})
    assert answer.headers["x-request-id"] != bad


async def test_alive_and_ready_are_two_questions(house: House) -> None:
    house.state.update(ready=False, because="still looking")
    async with house.client() as client:
        assert (await client.get("/health")).status_code == 200
        waiting = await client.get("/ready")
        assert (waiting.status_code, waiting.json()["because"]) == (503, "still looking")
        house.state.update(ready=True)
        assert (await client.get("/readyz")).status_code == 200


@pytest.mark.parametrize(
    "path", ["/api", "/apis", "/api/v1/namespaces", "/openapi/v3", "/services/x/y", "/agents/leases", "/auth/whoami"]
)
async def test_without_a_name_there_is_no_answer(house: House, path: str) -> None:
    async with house.client() as client:
        refused = await client.get(path)
    assert (refused.status_code, refused.json()["kind"], refused.json()["code"]) == (401, "Status", 401)


async def test_a_path_nobody_serves_is_a_status_too(house: House) -> None:
    async with house.client(house.bearer(ADMIN)) as client:
        for path in ("/nowhere", "/apis/nowhere/v1/things", "/auth/nowhere", "/api/v1/namespaces/a/b/c/d/e"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["kind"]) == (404, "Status"), path


class Broken:
    """Part of the house that fails, before or after its answer began."""

    def __init__(self, begins: bool) -> None:
        self.begins = begins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.begins:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("password=hunter2")


async def told_by(house: House, path: str) -> list[Message]:
    told: list[Message] = []

    async def send(message: Message) -> None:
        told.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode()}
    await house.door({**scope, "query_string": b"", "headers": []}, receive, send)
    return told


async def test_a_fault_of_ours_is_a_500_that_tells_nothing(house: House) -> None:
    house.conductor._rest = Broken(begins=False)
    with capture_logs() as lines:
        start, body = await told_by(house, "/broken")
    assert (start["status"], json.loads(body["body"])["reason"]) == (500, "InternalError")
    assert b"hunter2" not in body["body"]
    assert lines[0]["request"] == dict(start["headers"])[b"x-request-id"].decode()


async def test_once_begun_an_answer_is_broken_off_not_begun_again(house: House) -> None:
    house.conductor._rest = Broken(begins=True)
    with capture_logs():
        told = await told_by(house, "/broken")
    assert [message["type"] for message in told] == ["http.response.start"]


async def test_requests_are_counted_by_handler_method_and_code(house: House) -> None:
    async with house.client(house.bearer(ADMIN)) as client:
        await client.get(NAMESPACES)
        await client.get(f"{NAMESPACES}/nobody")
        await client.post("/auth/login", json={})
        text = (await client.get("/metrics")).text
    for line in (
        'aerekos_http_requests_total{code="200",handler="resources",method="GET"} 1.0',
        'aerekos_http_requests_total{code="404",handler="resources",method="GET"} 1.0',
        'aerekos_http_requests_total{code="422",handler="rest",method="POST"} 1.0',
        f"aerekos_store_revision {house.store.revision}.0",
    ):
        assert line in text
    assert 'aerekos_http_request_seconds_count{handler="resources"}' in text


async def test_what_is_counted_does_not_grow_with_what_people_ask(house: House) -> None:
    async with house.client(house.bearer(ADMIN)) as client:
        await client.get(f"{NAMESPACES}/warm")
        before = len(house.metrics.render().splitlines())
        for n in range(30):
            await client.get(f"{NAMESPACES}/name-{n}?x={n}")
        assert len(house.metrics.render().splitlines()) == before


async def test_reviews_answer_what_the_authorizer_would(house: House) -> None:
    await house.add_user("vic", "viewer")
    ask = {"spec": {"resourceAttributes": {"verb": "delete", "group": "", "resource": "namespaces"}}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    async with house.client(house.bearer(ADMIN)) as client:
        assert (await client.post(path, json=ask)).json()["status"]["allowed"] is True
        assert (await client.post(path, json={"spec": {}})).status_code == 422
        assert (await client.post(path, json=[])).status_code == 400
    async with house.client() as client:
        assert (await client.post(path, json=ask)).status_code == 401
