"""A service's way to the conductor: TLS pinned to our CA, a token of its own that is renewed in time.

Callers: `services.sdk.context`. Peers are reached by the same gateway (`/services/<name>/...`).
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx

from controller.kit import tracing
from controller.kit.clock import Clock
from crds.errors import Unavailable, from_status
from services.sdk.identity import ON_BEHALF_OF

_BROKEN_OFF = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
_QUESTIONS = ("/apis/authorization.k8s.io/", "/apis/authentication.k8s.io/")
"""What is asked by POST and changes nothing."""


class ServiceAuth(httpx.Auth):
    """Bearer tokens from `POST /auth/token`: renewed at half their life, fetched again once after a 401."""

    def __init__(self, api: str, credential: Path, clock: Clock) -> None:
        self._url, self._credential, self._clock = f"{api.rstrip('/')}/auth/token", credential, clock
        self._token = ""
        self._renew_at = float("-inf")
        self._lock = asyncio.Lock()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        async with self._lock:
            if self._clock.monotonic() >= self._renew_at:
                await self._read(await _answer((yield self._ask())))
        used = self._token
        request.headers["Authorization"] = f"Bearer {used}"
        response = yield request
        if response.status_code != 401:
            return
        async with self._lock:
            if self._token == used:
                await self._read(await _answer((yield self._ask())))
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request

    def _ask(self) -> httpx.Request:
        return httpx.Request("POST", self._url, json=json.loads(self._credential.read_text()))

    async def _read(self, response: httpx.Response) -> None:
        if response.status_code != 200:
            raise httpx.ConnectError(f"no token for this service: the conductor answered {response.status_code}")
        answer = response.json()
        self._token = str(answer["accessToken"])
        self._renew_at = self._clock.monotonic() + float(answer["expiresIn"]) / 2


async def _answer(response: httpx.Response) -> httpx.Response:
    await response.aread()
    return response


def open_client(api: str, ca: Path | None, auth: httpx.Auth | None, *, base: str = "") -> httpx.AsyncClient:
    """A client for the conductor. Timeouts in seconds: 2 to connect, 30 to answer."""
    verify: ssl.SSLContext | bool = ssl.create_default_context(cafile=str(ca)) if ca else True
    return httpx.AsyncClient(
        base_url=f"{api.rstrip('/')}{base}",
        auth=auth,
        verify=verify,
        trust_env=False,
        timeout=httpx.Timeout(30.0, connect=2.0),
        limits=httpx.Limits(max_connections=256, max_keepalive_connections=64),
        event_hooks={"request": [_carry_trace]},
    )


async def _carry_trace(request: httpx.Request) -> None:
    """What is asked for a request or a pass belongs to its trace."""
    if (value := tracing.traceparent()) is not None:
        request.headers["traceparent"] = value.decode()


async def fetch_json(
    client: httpx.AsyncClient, method: str, path: str, body: Any = None, *, on_behalf_of: str = ""
) -> dict[str, Any]:
    """The JSON answer; `on_behalf_of`: the identity token of the caller it is asked for.

    Raises ApiError as the conductor's Status says; Unavailable when it cannot be reached.
    """
    headers = {ON_BEHALF_OF: on_behalf_of} if on_behalf_of else None
    try:
        try:
            response = await client.request(method, path, json=body, headers=headers)
        except _BROKEN_OFF:
            # As when the gateway was about to close a connection that lay idle. Asked again where that does no harm.
            if method != "GET" and not path.startswith(_QUESTIONS):
                raise
            response = await client.request(method, path, json=body, headers=headers)
    except httpx.TransportError as error:
        raise Unavailable(f"the conductor cannot be reached: {error!r}") from error
    try:
        answer = response.json()
    except ValueError:
        answer = {}
    if response.status_code >= 300:
        raise from_status(response.status_code, answer, f"{path} answered {response.status_code}")
    return dict(answer)
