"""What a service asks for its callers: the gateway says what the conductor would, and does not ask it."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest
from contracts.api.conftest import read_all
from unit.api.components import HOW, KMS, House, make_house

from api.asgi import Receive, Scope, Send
from api.auth.accounts import Accounts
from api.auth.authentication import Authenticator
from api.auth.authorizer import Authorizer
from api.auth.derived_secrets import DerivedSecrets
from api.auth.on_behalf import Identities, signer
from api.auth.principal import AUTHENTICATED, SERVICES, Principal
from api.chain import RequestChain
from api.channel.replication import Replication
from api.front_proxy import FrontProxy
from api.gateway.access_reviews import PATH, AccessReviews
from api.gateway.passthrough import Passthrough
from api.gateway.replica import Replica
from api.gateway.upstream import Endpoint
from api.server import make_socket_server
from controller.kit.threads import Threads
from controller.kit.unix_sockets import listen_on
from controller.resources.registry import Registry
from crds.kinds.rbac import ROLE, ROLE_BINDING
from crds.managed import Grant
from services.sdk.edge.acceptor import listen
from services.sdk.edge.connections import ConnectionLimits
from services.sdk.edge.http_server import AT_ONCE, HttpServer

pytestmark = pytest.mark.anyio
SERVICE = Principal(f"system:service:{KMS.service_name}", frozenset({SERVICES, AUTHENTICATED}))
MANIFEST = replace(
    KMS, acts=(Grant("configmaps", ("get", "create"), ""), Grant("services", ("get", "delete"), "aerekos.cloud"))
)
PEOPLE = {"ed": ("editor",), "vic": ("viewer",), "ann": ("viewer",)}


class Gate:
    """A gateway with copies of a conductor, and how often that one was asked."""

    def __init__(self, house: House, port: int) -> None:
        self.house, self.port = house, port
        self.asked = 0

    async def ask(self, port: int, name: str, wanted: dict[str, str], **more: str) -> tuple[int, Any]:
        """The answer to what the service asks for that caller."""
        who = signer(self.house.accounts, self.house.accounts.access_key(name).id).who
        token = Identities(self.house.tokens, self.house.clock).token(who, KMS.service_name).decode()
        body = json.dumps({"spec": {"resourceAttributes": wanted}})
        headers = {
            **self.house.bearer(SERVICE),
            "x-aerekos-on-behalf-of": token,
            "content-type": "application/json",
            "content-length": str(len(body)),
            **more,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        raw = f"POST {PATH} HTTP/1.1\r\nhost: x\r\n{lines}connection: close\r\n\r\n{body}"
        code, _, answer = await read_all(*await asyncio.open_connection("127.0.0.1", port), raw.encode())
        return code, json.loads(answer) if code == 201 else answer


async def copied(house: House, replica: Replica, group: Any) -> None:
    """Until the replica has everything the house has, and follows it."""
    replication = Replication(house.store, house.endpoints)

    async def follow() -> None:
        async def receive() -> dict[str, Any]:
            await anyio.sleep_forever()
            return {}

        rest = b""

        async def send(message: Any) -> None:
            nonlocal rest
            *lines, rest = (rest + message.get("body", b"")).split(b"\n")
            for line in lines:
                await told.send(line)

        await replication.serve({"type": "http"}, receive, send)

    told, heard = anyio.create_memory_object_stream[bytes](10_000)

    async def ask() -> AsyncIterator[bytes]:
        async for line in heard:
            yield line

    replica._ask = ask
    group.start_soon(follow)
    group.start_soon(replica.run)
    await replica.synced.wait()


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Gate]:
    house = await make_house(tmp_path)
    for name, roles in PEOPLE.items():
        await house.add_user(name, *roles)
    house.authorizer._acts.update(Authorizer(house.registry.catalog, (MANIFEST,))._acts)
    replica = Replica(lambda: None)  # type: ignore[arg-type,return-value]
    registry = Registry(replica.store, house.registry.catalog, house.clock)
    accounts = Accounts(registry, house.tokens, DerivedSecrets(b"m" * 32), house.clock, Threads(1))
    # As the house has it: what a service is bound to is no record there.
    accounts.clients.binding = house.accounts.clients.binding  # type: ignore[method-assign]
    authorizer = Authorizer(house.registry.catalog, (MANIFEST,), replica.store)
    authenticator = Authenticator(house.tokens, accounts, authorizer)
    behind, path = make_socket_server(FrontProxy(house.door)), tmp_path / "conductor.sock"
    serving = asyncio.create_task(behind.serve(sockets=[listen_on(path)]))
    passthrough = Passthrough(Endpoint(str(path)))

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        made.asked += 1
        await passthrough(scope, receive, send)

    reviews = AccessReviews(authenticator, authorizer, house.registry.catalog, lambda *_: None, counted)
    chain = RequestChain(
        (reviews.handler(),), authenticator=authenticator, guard=house.guard, metrics=house.metrics,
        audit=house.audit, otherwise=counted,
    )  # fmt: skip
    server = HttpServer(chain, await listen("127.0.0.1", 0, 64), None, ConnectionLimits())
    server.start()
    made = Gate(house, server.sockets[0].getsockname()[1])
    async with anyio.create_task_group() as group:
        await copied(house, replica, group)
        yield made
        group.cancel_scope.cancel()
    await server.stop(AT_ONCE)
    passthrough.close()
    behind.should_exit = behind.force_exit = True
    await serving
    await house.close()


async def bind(house: House, name: str) -> None:
    """ann may create config maps, in the namespace `default` alone."""
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}]
    await house.registry.create(ROLE, "default", {"metadata": {"name": name}, "rules": rules}, HOW)
    refers = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ann"}
    body = {"metadata": {"name": name}, "roleRef": refers, "subjects": [subject]}
    await house.registry.create(ROLE_BINDING, "default", body, HOW)


async def test_the_gateway_says_what_the_conductor_says_and_does_not_ask_it(gate: Gate) -> None:
    await bind(gate.house, "maps")
    seen: set[bool] = set()
    resources = (("", "configmaps"), ("", "secrets"), ("aerekos.cloud", "users"), ("aerekos.cloud", "services"))
    for name, (group, resource), verb, namespace in itertools.product(
        PEOPLE, resources, ("get", "create", "delete"), ("default", "other")
    ):
        wanted = {"verb": verb, "group": group, "resource": resource, "namespace": namespace}
        code, answer = await gate.ask(gate.port, name, wanted)
        async with gate.house.client() as client:
            who = signer(gate.house.accounts, gate.house.accounts.access_key(name).id).who
            token = Identities(gate.house.tokens, gate.house.clock).token(who, KMS.service_name).decode()
            headers = {**gate.house.bearer(SERVICE), "x-aerekos-on-behalf-of": token}
            said = await client.post(PATH, json={"spec": {"resourceAttributes": wanted}}, headers=headers)
        assert (code, answer) == (201, said.json()), (name, wanted)
        seen.add(answer["status"]["allowed"])
    assert (seen, gate.asked) == ({True, False}, 0)


async def test_a_right_that_was_given_or_taken_is_known_at_once(gate: Gate) -> None:
    wanted = {"verb": "create", "group": "", "resource": "configmaps", "namespace": "default"}

    async def allowed() -> bool:
        _, answer = await gate.ask(gate.port, "ann", wanted)
        return bool(answer["status"]["allowed"])

    async def eventually(expected: bool) -> None:
        with anyio.fail_after(30):
            while await allowed() != expected:  # noqa: ASYNC110 (another store follows)
                await anyio.sleep(0.01)

    assert not await allowed()
    await bind(gate.house, "maps")
    await eventually(True)
    await gate.house.registry.delete(ROLE_BINDING, ROLE_BINDING.key("maps", "default"), HOW)
    await eventually(False)
    assert gate.asked == 0


async def test_what_is_not_known_here_is_asked_of_the_conductor(gate: Gate) -> None:
    wanted = {"verb": "get", "group": "example.org", "resource": "things", "namespace": "default"}
    code, answer = await gate.ask(gate.port, "ed", wanted)
    assert (code, answer["status"]["allowed"], gate.asked) == (201, False, 1)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"x-aerekos-on-behalf-of": "forged"}, 401),
        ({"authorization": "Bearer forged"}, 401),
    ],
)
async def test_who_may_not_ask_hears_so(gate: Gate, more: dict[str, str], code: int) -> None:
    wanted = {"verb": "get", "group": "", "resource": "configmaps", "namespace": "default"}
    assert (await gate.ask(gate.port, "ed", wanted, **more))[0] == code
    assert gate.asked == 0


@pytest.mark.parametrize("body", [b"no JSON", b"[]", orjson.dumps({"spec": []})])
async def test_a_review_that_is_none_is_said_to_be(gate: Gate, body: bytes) -> None:
    headers = {**gate.house.bearer(SERVICE), "x-aerekos-on-behalf-of": "x", "content-type": "application/json"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    raw = f"POST {PATH} HTTP/1.1\r\nhost: x\r\n{lines}content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    streams = await asyncio.open_connection("127.0.0.1", gate.port)
    code, _, _ = await read_all(*streams, raw.encode() + body)
    assert code in (400, 401)
