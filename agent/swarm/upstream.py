"""How what listens on this machine reaches the conductor: its addresses, this worker's token, the CA that vouches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import httpx

from agent.conductor_client import tls_context
from agent.errors import AgentError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Upstream:
    """The API's addresses, best first; this worker's token; the CA (PEM) that vouches for the API."""

    urls: Sequence[str]
    token: str
    ca: str


class UpstreamClient:
    """One HTTP client, made anew when the CA is another. Close it."""

    def __init__(self, timeout: httpx.Timeout, limits: httpx.Limits) -> None:
        self._timeout, self._limits = timeout, limits
        self._client: httpx.AsyncClient | None = None
        self._ca: str | None = None

    async def ask(self, upstream: Upstream, ask: Callable[[httpx.AsyncClient, str], Awaitable[T]]) -> T:
        """What `ask(client, url)` gives at the first address that can be reached. Raises what it raises, and
        AgentError when there is no address.
        """
        client = await self._client_for(upstream.ca)
        for url in upstream.urls:
            try:
                return await ask(client, url)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if url == upstream.urls[-1]:
                    raise
                # nothing was sent yet: another manager may be there
        raise AgentError("this machine knows no address of it")

    async def close(self) -> None:
        """It may be asked again afterwards."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _client_for(self, ca: str) -> httpx.AsyncClient:
        if self._client is None or ca != self._ca:
            await self.close()
            verify = tls_context(ca) if ca else True
            self._client = httpx.AsyncClient(
                verify=verify, timeout=self._timeout, limits=self._limits, trust_env=False
            )
            self._ca = ca
        return self._client
