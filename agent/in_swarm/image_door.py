"""This machine's door to the cloud's images: Docker asks 127.0.0.1 for them, which it trusts without any settings.

Requests go on to the conductor as they are. Who asks for a token without a password gets this worker's, which may
pull; who has a password (`docker login`) gets their own. Nothing is kept here: Docker checks every digest itself.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import httpx
import structlog
import uvicorn

from agent.errors import AgentError

TOKEN_PATH = "/v2/token"  # noqa: S105 (a path)
PATIENCE = httpx.Timeout(10.0, read=120.0, write=120.0)
RETRY_SECONDS = 5.0
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "date", "server"}
Way = Callable[[], Awaitable[tuple[str, str, Any]]]
_log = structlog.get_logger("images")


class ImageDoor:
    """`way` tells the API's address, this worker's token and the TLS context, as they are now."""

    def __init__(self, address: str, way: Way) -> None:
        self._host, _, port = address.rpartition(":")
        self._port, self._way = int(port), way

    async def run(self) -> None:
        """Until cancelled. A port that somebody else has is tried again and again, and told."""
        while True:
            config = uvicorn.Config(
                self,
                host=self._host,
                port=self._port,
                log_config=None,
                log_level="critical",
                access_log=False,
                lifespan="off",
                ws="none",
            )
            try:
                await _Quiet(config).serve()
            except (OSError, SystemExit):
                _log.error("the door for images cannot be opened", port=self._port, try_="free it, or --image-door")
            await anyio.sleep(RETRY_SECONDS)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if not scope["path"].startswith("/v2"):
            await _answer(send, 404, "this door is for container images: /v2/...")
            return
        try:
            url, token, trust = await self._way()
            async with httpx.AsyncClient(verify=trust, timeout=PATIENCE, trust_env=False) as client:
                await self._carry(client, url, token, scope, receive, send)
        except (AgentError, httpx.HTTPError) as lost:
            await _answer(send, 503, f"the conductor does not answer: {lost or type(lost).__name__}")

    async def _carry(
        self, client: httpx.AsyncClient, url: str, token: str, scope: Any, receive: Any, send: Any
    ) -> None:
        headers = [(n.decode(), v.decode("latin-1")) for n, v in scope["headers"] if n.decode() not in _HOP_BY_HOP]
        headers.append(("x-forwarded-proto", "http"))
        if scope["path"] == TOKEN_PATH and not any(name == "authorization" for name, _ in headers):
            headers.append(("authorization", f"Bearer {token}"))
        target = scope["raw_path"].decode() + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
        body = _body(receive) if _has_body(scope) else None
        async with client.stream(scope["method"], url + target, headers=headers, content=body) as answer:
            kept = [(n.lower(), v) for n, v in answer.headers.raw if n.decode().lower() not in _HOP_BY_HOP]
            await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
            async for piece in answer.aiter_raw():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


class _Quiet(uvicorn.Server):
    """Signals are the agent's own affair."""

    def install_signal_handlers(self) -> None: ...

    def capture_signals(self) -> Any:
        from contextlib import nullcontext

        return nullcontext()


def _has_body(scope: Any) -> bool:
    told = dict(scope["headers"])
    return b"transfer-encoding" in told or told.get(b"content-length", b"0") != b"0"


async def _body(receive: Any) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise httpx.WriteError("the client left")
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def _answer(send: Any, code: int, message: str) -> None:
    body = json.dumps({"errors": [{"code": "UNAVAILABLE", "message": message}]}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": code, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})
