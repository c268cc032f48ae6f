"""The agent's way to the API: several URLs tried in turn, one bearer token renewed at half its life.

Turns HTTP into the errors of `agent.errors`. Holds no identity of its own: the caller passes it in.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from agent.errors import AccessRevoked, AgentError, Unreachable
from agent.identity import Identity
from controller.kit.clock import Clock

# Shorter than a lease, so that one hanging API does not cost us ours before the next one is tried.
CALL_SECONDS = 1.5
# A name every certificate of the conductor has, wherever it is, and none of a service's, which are of the same CA.
CONDUCTOR = "localhost"
MakeClient = Callable[[ssl.SSLContext | bool], httpx.AsyncClient]


def make_client(verify: ssl.SSLContext | bool, seconds: float = CALL_SECONDS) -> httpx.AsyncClient:
    """The real one. Kept alive between beats: a TLS handshake each second would cost more than the beat."""
    limits = httpx.Limits(max_connections=2, keepalive_expiry=60)
    return httpx.AsyncClient(verify=verify, timeout=seconds, limits=limits, trust_env=False)


def make_socket_client(path: str, seconds: float = CALL_SECONDS) -> httpx.AsyncClient:
    """One for the conductor's own socket, which only its user can open. What it asks waits behind nobody's data."""
    transport = httpx.AsyncHTTPTransport(uds=path, limits=httpx.Limits(max_connections=2, keepalive_expiry=60))
    return httpx.AsyncClient(transport=transport, timeout=seconds, headers={"x-forwarded-for": "127.0.0.1"})


class ConductorClient:
    """Calls to the first API that answers; the one that did is tried first next time."""

    def __init__(self, urls: Sequence[str], clock: Clock, make: MakeClient = make_client) -> None:
        self._urls, self._clock, self._make = [each.rstrip("/") for each in urls], clock, make
        self._given = frozenset(self._urls)
        self._client: httpx.AsyncClient | None = None
        self._ca: str | None = None
        self._token, self._renew_at = "", 0.0
        self.renewed_secret = ""
        """The secret to keep in place of the one we gave, when the conductor told one."""

    @property
    def urls(self) -> Sequence[str]:
        """Best first."""
        return tuple(self._urls)

    def update_endpoints(self, urls: Sequence[str]) -> None:
        """Replace the API's addresses that were learnt before; those given at the start stay.

        Known ones keep their order. None at all is no news: what was right a moment ago is the best guess.
        """
        now = [each.rstrip("/") for each in urls]
        if not now:
            return
        kept = [each for each in self._urls if each in self._given or each in now]
        self._urls = kept + [each for each in dict.fromkeys(now) if each not in kept]

    async def call(self, identity: Identity, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST as that identity. Raises Unreachable, AccessRevoked."""
        try:
            return await self.post(path, body, ca=identity.ca, token=await self.token(identity))
        except AccessRevoked:
            self._token = ""  # the key may have been rotated: the next call asks for a new token
            raise

    async def token(self, identity: Identity) -> str:
        """That identity's bearer token, renewed at half its life. Raises Unreachable, AccessRevoked."""
        if not self._token or self._clock.monotonic() >= self._renew_at:
            await self._renew(identity)
        return self._token

    async def _renew(self, identity: Identity) -> None:
        body = {"clientId": identity.client_id, "clientSecret": identity.client_secret}
        answer = await self.post("/auth/token", body, ca=identity.ca)
        try:
            self._token = str(answer["accessToken"])
            self._renew_at = self._clock.monotonic() + float(answer["expiresIn"]) / 2
            self.renewed_secret = str(answer.get("clientSecret") or "")
        except (KeyError, TypeError, ValueError) as broken:
            self._token = ""
            raise AgentError("the API's token answer has no accessToken or expiresIn") from broken

    async def post(self, path: str, body: dict[str, Any], *, ca: str, token: str = "") -> dict[str, Any]:
        """POST with an optional token. Raises Unreachable when no URL answers, AccessRevoked for 401 and 403."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if not self._urls:
            raise Unreachable("no API address yet: give --api https://<conductor>:7443, or join a Swarm that has one")
        client, faults = await self._open(ca), []
        told = tls_extensions(ca)
        for url in tuple(self._urls):
            try:
                response = await client.post(url + path, json=body, headers=headers, extensions=told)
            except httpx.HTTPError as fault:
                faults.append(f"{url}: {str(fault) or type(fault).__name__}")
                continue
            if response.status_code >= 500 or response.status_code == 429:
                faults.append(f"{url}: answered {response.status_code}")
                continue
            self._prefer(url)
            return _read(response)
        raise Unreachable("; ".join(faults))

    async def close(self) -> None:
        """Forget the token and the connections."""
        client, self._client, self._token = self._client, None, ""
        if client is not None:
            await client.aclose()

    async def _open(self, ca: str) -> httpx.AsyncClient:
        if self._client is None or ca != self._ca:
            await self.close()
            # The trust set of the machine is left out on purpose: only the pinned CA may speak for the conductor.
            self._client = self._make(tls_context(ca) if ca else True)
            self._ca = ca
        assert self._client is not None
        return self._client

    def _prefer(self, url: str) -> None:
        if url in self._urls:  # it may have been dropped while it was asked
            self._urls.remove(url)
            self._urls.insert(0, url)


def tls_context(ca: str) -> ssl.SSLContext:
    """A TLS context for connections to whoever holds a server's certificate of that CA, for the name that is asked
    for: see `tls_extensions`.
    """
    return ssl.create_default_context(cadata=ca)


def tls_extensions(ca: str) -> dict[str, Any]:
    """What a request says besides: not the address is proven, which changes, but that it is the conductor's."""
    return {"sni_hostname": CONDUCTOR} if ca else {}


def _read(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        body = {}
    if response.is_success and isinstance(body, dict):
        return body
    said = body.get("message") if isinstance(body, dict) else None
    message = str(said or f"the API answered {response.status_code}")
    raise (AccessRevoked if response.status_code in (401, 403) else AgentError)(message)
