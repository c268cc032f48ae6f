"""The cloud's images on this machine: Docker asks 127.0.0.1 for them, which it trusts without any settings.

Only root, the daemon's own user and the agent's are answered (`agent.swarm.callers`). Requests go on to the
conductor as they are, and pieces of either side are passed on as they come. Who asks for a token without a password
gets one to pull with, made for this worker, which is good for nothing but images; who has a password (`docker login`)
gets their own. The worker's own token goes to the conductor alone. Nothing is kept here: Docker checks every digest.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext
from typing import Any
from urllib.parse import parse_qsl, urlencode

import anyio
import httpx
import structlog
import uvicorn

from agent.conductor_client import tls_extensions
from agent.errors import AgentError
from agent.swarm.callers import Admits, LocalCallers
from agent.swarm.upstream import Upstream, UpstreamClient

TOKEN_PATH = "/v2/token"  # noqa: S105 (a path)
TIMEOUT = httpx.Timeout(connect=3.0, read=120.0, write=120.0, pool=10.0)
LIMITS = httpx.Limits(max_connections=50, max_keepalive_connections=4, keepalive_expiry=30.0)
RETRY_SECONDS = 5.0
_HOP_BY_HOP = frozenset(b"connection keep-alive transfer-encoding te trailer upgrade expect date server".split())
_log = structlog.get_logger("images")


class RegistryProxy:
    """`upstream`: how to reach the conductor now, or raises AgentError. `admits`: whose connection is answered."""

    def __init__(
        self, address: str, upstream: Callable[[], Awaitable[Upstream]], admits: Admits | None = None
    ) -> None:
        self._host, _, port = address.rpartition(":")
        self._port, self._upstream = int(port), upstream
        self._admits = admits or LocalCallers().admits
        self._client = UpstreamClient(TIMEOUT, LIMITS)

    async def run(self) -> None:
        """Run until cancelled. A port that somebody else has is tried again and again, and logged."""
        try:
            while True:
                try:
                    await self._server().serve()
                except (OSError, SystemExit):
                    _log.error("the registry proxy cannot listen", port=self._port, try_="free it, or --image-door")
                await anyio.sleep(RETRY_SECONDS)
        finally:
            with anyio.CancelScope(shield=True):
                await self._client.close()

    def _server(self) -> uvicorn.Server:
        return _QuietServer(
            uvicorn.Config(
                self,
                host=self._host,
                port=self._port,
                log_config=None,
                log_level="critical",
                access_log=False,
                lifespan="off",
                ws="none",
            )
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if not _is_for_images(scope["path"]):
            await _answer(send, 404, "UNSUPPORTED", "only container images are served here: /v2/...")
            return
        if not await self._admits(tuple(scope["client"]), tuple(scope["server"])):
            await _answer(send, 403, "DENIED", "this is for this machine's Docker daemon, and for root")
            return
        begun = _TrackedSend(send)
        try:
            await self._proxy(scope, receive, begun)
        except (AgentError, httpx.HTTPError) as lost:
            if begun.any:
                raise  # half an answer is out: only a broken connection tells Docker that the rest is missing
            await _answer(
                send, 503, "UNAVAILABLE", f"the conductor does not answer: {str(lost) or type(lost).__name__}"
            )

    async def _proxy(self, scope: Any, receive: Any, send: Any) -> None:
        upstream = await self._upstream()
        body = _request_body(receive) if _has_body(scope) else None
        answer = await self._client.ask(
            upstream, lambda client, url: client.send(_request(scope, url, upstream, body), stream=True)
        )
        try:
            await _stream_response(answer, None if body else receive, send)
        finally:
            await answer.aclose()


class _QuietServer(uvicorn.Server):
    """Signals are the agent's own affair."""

    def install_signal_handlers(self) -> None: ...

    def capture_signals(self) -> Any:
        return nullcontext()


class _TrackedSend:
    """Sends, and remembers whether anything was sent."""

    def __init__(self, send: Any) -> None:
        self._send, self.any = send, False

    async def __call__(self, message: Any) -> None:
        self.any = True
        await self._send(message)


async def _request_body(receive: Any) -> AsyncIterator[bytes]:
    """Yield what the client sends, piece by piece."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise httpx.WriteError("the client left")
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def _stream_response(answer: httpx.Response, receive: Any, send: Any) -> None:
    """Stream the response; with `receive`, until the client leaves.

    The rest of a large layer is then not fetched for nobody.
    """
    async with anyio.create_task_group() as tasks:
        if receive is not None:
            tasks.start_soon(_until_the_client_leaves, receive, tasks.cancel_scope)
        kept = [(name.lower(), value) for name, value in answer.headers.raw if name.lower() not in _HOP_BY_HOP]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
        async for piece in answer.aiter_raw():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        tasks.cancel_scope.cancel()


async def _until_the_client_leaves(receive: Any, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
    scope.cancel()


def _is_for_images(path: str) -> bool:
    """Dots would lead out of it again."""
    first, *rest = path.removeprefix("/").split("/")
    return first == "v2" and not {".", ".."} & set(rest)


def _request(scope: Any, url: str, upstream: Upstream, body: AsyncIterator[bytes] | None) -> httpx.Request:
    """Build the request here and not with the client, which would add headers of its own."""
    told = {"timeout": TIMEOUT.as_dict(), **tls_extensions(upstream.ca)}
    return httpx.Request(scope["method"], url + _target(scope), headers=_headers(scope, upstream.token), content=body,
                         extensions=told)  # fmt: skip


def _headers(scope: Any, token: str) -> list[tuple[bytes, bytes]]:
    """Return the headers as they came, so that clients are sent back here; with a token for who asks for one."""
    headers = [(name, value) for name, value in scope["headers"] if name not in _HOP_BY_HOP]
    headers.append((b"x-forwarded-proto", b"http"))
    if scope["path"] == TOKEN_PATH and not _has_credentials(scope):
        headers.append((b"authorization", f"Bearer {token}".encode()))
    return headers


def _target(scope: Any) -> str:
    path: str = scope["raw_path"].decode("latin-1").partition("?")[0]
    query: str = scope["query_string"].decode("latin-1")
    if scope["path"] == TOKEN_PATH and not _has_credentials(scope):
        query = _only_pull(query)
    return f"{path}?{query}" if query else path


def _has_credentials(scope: Any) -> bool:
    return any(name == b"authorization" for name, _ in scope["headers"])


def _only_pull(query: str) -> str:
    """`scope=repository:web:push,pull` asks for no more than pull: this worker's rights are lent for nothing else."""
    asked = parse_qsl(query, keep_blank_values=True)
    names = [value.rpartition(":")[0] for name, value in asked if name == "scope" and value.startswith("repository:")]
    kept = [(name, value) for name, value in asked if name == "service"]
    return urlencode([*kept, *(("scope", f"{each}:pull") for each in names)])


def _has_body(scope: Any) -> bool:
    told = dict(scope["headers"])
    return b"transfer-encoding" in told or told.get(b"content-length", b"0") != b"0"


async def _answer(send: Any, status: int, code: str, message: str) -> None:
    """Send an error in the shape registry clients read."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})
