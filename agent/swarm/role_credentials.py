"""The container credentials endpoint of this machine: where containers with a role (`spec.role`) get their temporary
credentials.

`GET /services/<namespace>/<name>` with the Service's own token as `Authorization`, over plain HTTP at 169.254.170.2:
besides the loopback, which a container has for itself, SDKs take no other address without a certificate of a public
authority. The address lies on this machine's loopback interface, so whatever a container sends there ends on its own
machine, by Docker's bridge. Whether the token is good the conductor says; nothing is kept here but each answer, for a
second. Source: AWS SDKs and tools reference guide, "Container credential provider".
"""

from __future__ import annotations

import json
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address, ip_interface
from typing import Any, NamedTuple

import anyio
import httpx
import psutil
import structlog

from agent.addressing.netfilter import NetfilterError, run_ip
from agent.conductor_client import tls_extensions
from agent.errors import AgentError
from agent.swarm.upstream import Upstream, UpstreamClient
from controller.kit.clock import Clock
from crds.kinds.service_roles import MACHINE_ADDRESS, MACHINE_PORT
from services.sdk.asgi import header_of
from services.sdk.edge.connections import ConnectionLimits, prove
from services.sdk.edge.http_server import AT_ONCE, HttpServer

PATH = "/agents/role-credentials"
BRIDGE = "docker_gwbridge"
"""Docker's own name for the bridge by which containers in overlay networks leave them."""
LABEL = "lo:aws"
ADDRESS_SECONDS, ANSWER_SECONDS, WRONG_SECONDS = 15.0, 1.0, 1.0
# SDKs wait for two seconds, and try three times.
TIMEOUT = httpx.Timeout(1.5)
_LIMITS = ConnectionLimits(total=512, per_address=32, unproven=128, unproven_per_address=16)
_POOL = httpx.Limits(max_connections=4, keepalive_expiry=30.0)
_log = structlog.get_logger("credentials")
_BACKLOG, _LONGEST_TOKEN, _REMEMBERED = 128, 256, 256


class Answer(NamedTuple):
    status: int
    body: dict[str, Any]


class RoleCredentials:
    """`upstream`: how to reach the conductor now, or raises AgentError. `is_container`: whether an address is one of
    this machine's containers. `pause`: sleeps. `assign`: gives the machine the address.
    """

    def __init__(
        self,
        upstream: Callable[[], Awaitable[Upstream]],
        clock: Clock,
        is_container: Callable[[str], bool] | None = None,
        pause: Callable[[float], Awaitable[None]] = anyio.sleep,
        assign: Callable[[], None] | None = None,
    ) -> None:
        self._upstream, self._clock, self._pause = upstream, clock, pause
        self._is_container, self._assign = is_container or is_behind_bridge, assign or assign_address
        self._client = UpstreamClient(TIMEOUT, _POOL)
        self._turns: dict[str, anyio.Lock] = {}
        self._known: dict[tuple[str, str, str], tuple[float, Answer]] = {}

    async def run(self) -> None:
        """Run until cancelled. Raises OSError for a taken port, NetfilterError for an address that is lost again."""
        await self._assigned()
        with _listener() as listener:
            server = HttpServer(self, [listener], None, _LIMITS)
            server.start()
            try:
                while True:  # somebody may take the address away
                    await anyio.sleep(ADDRESS_SECONDS)
                    await anyio.to_thread.run_sync(self._assign)
            finally:
                with anyio.CancelScope(shield=True):
                    await server.stop(AT_ONCE)
                    await self._client.close()

    async def _assigned(self) -> None:
        """Returns once the machine has the address; an agent without the right to give it says so once."""
        told = ""
        while True:
            try:
                await anyio.to_thread.run_sync(self._assign)
                return
            except NetfilterError as refused:
                if str(refused) != told:
                    _log.error("containers with a role get no credentials on this machine", because=str(refused))
                told = str(refused)
            await self._pause(ADDRESS_SECONDS)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        answer = await self._answer(scope)
        if answer.status == 200:
            prove(scope)
        body = json.dumps(answer.body).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Any) -> Answer:
        parts, token = str(scope["path"]).split("/"), header_of(scope, "authorization") or ""
        address = str(scope["client"][0])
        if not self._is_container(address):
            return refusal(403, "Forbidden", "only containers of this machine are answered here")
        if scope["method"] != "GET" or scope["query_string"] or len(parts) != 4 or parts[:2] != ["", "services"]:
            return refusal(404, "NotFound", "GET /services/<namespace>/<name> is all there is")
        if not token or len(token) > _LONGEST_TOKEN:
            return refusal(401, "Unauthorized", "the Authorization header must be the token of the Service")
        return await self._in_turn(address, (parts[2], parts[3], token))

    async def _in_turn(self, address: str, asked: tuple[str, str, str]) -> Answer:
        """One at a time of each container, and none soon after a wrong one: no container asks the conductor to death,
        or keeps the others from it.
        """
        turn = self._turns.setdefault(address, anyio.Lock())
        async with turn:
            answer = await self._remembered(asked)
            if answer.status in (401, 404):
                await self._pause(WRONG_SECONDS)
        if not turn.locked():  # nobody was waiting
            self._turns.pop(address, None)
        return answer

    async def _remembered(self, asked: tuple[str, str, str]) -> Answer:
        now = self._clock.monotonic()
        known = self._known.get(asked)
        if known is not None and now - known[0] < ANSWER_SECONDS:
            return known[1]
        answer = await self._from_conductor(*asked)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        if answer.status == 200:
            self._known[asked] = now, answer
        else:
            self._known.pop(asked, None)
        return answer

    async def _from_conductor(self, namespace: str, name: str, token: str) -> Answer:
        try:
            upstream = await self._upstream()
            told = await self._ask(upstream, {"namespace": namespace, "name": name, "token": token})
            return Answer(int(told["status"]), dict(told["body"]))
        except (AgentError, httpx.HTTPError, ValueError, KeyError, TypeError) as lost:
            why = f"the conductor does not answer: {str(lost) or type(lost).__name__}"
            return refusal(503, "ServiceUnavailable", why)

    async def _ask(self, upstream: Upstream, body: dict[str, str]) -> dict[str, Any]:
        """The first address that can be reached answers. Raises httpx.HTTPError, ValueError, AgentError."""
        more: dict[str, Any] = {
            "headers": {"Authorization": f"Bearer {upstream.token}"},
            "extensions": tls_extensions(upstream.ca),
        }
        answer = await self._client.ask(upstream, lambda client, url: client.post(url + PATH, json=body, **more))
        return dict(answer.raise_for_status().json())


def refusal(status: int, code: str, message: str) -> Answer:
    """As AWS's endpoint words it."""
    return Answer(status, {"code": code, "message": message})


def assign_address() -> None:
    """Give this machine the endpoint's address, for itself alone. Raises NetfilterError."""
    run_ip("addr", "replace", f"{MACHINE_ADDRESS}/32", "dev", "lo", "scope", "host", "label", LABEL)


def is_behind_bridge(address: str) -> bool:
    """Whether it is a container's on Docker's bridge. Who pretends to be one gets no answer: that goes to the bridge.
    The bridge's own address is the machine's, as any program of it may call itself.
    """
    return any(
        address != each.address and ip_address(address) in ip_interface(f"{each.address}/{each.netmask}").network
        for each in psutil.net_if_addrs().get(BRIDGE, ())
        if each.family == socket.AF_INET and each.netmask
    )


def _listener() -> socket.socket:
    """Raises OSError."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((MACHINE_ADDRESS, MACHINE_PORT))
        opened.listen(_BACKLOG)
        opened.setblocking(False)
    except OSError as taken:
        opened.close()
        raise OSError(
            taken.errno, f"{MACHINE_ADDRESS}:{MACHINE_PORT}, where containers get credentials: {taken.strerror}"
        ) from taken
    return opened
