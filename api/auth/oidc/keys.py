"""The issuer's public keys: fetched when a token names one that is not known, at most every ten seconds."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import orjson
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jose import jwk
from jose.exceptions import JOSEError

from api.auth.oidc.options import OidcOptions, require_https
from controller.kit.clock import Clock

Fetch = Callable[[str], Awaitable[Any]]
Key = Any
FRESH_SECONDS, PAUSE_SECONDS = 3600.0, 10.0
_MOST_BYTES, _MOST_KEYS, _LEAST_RSA_BITS = 2**20, 64, 2048
_WAIT_SECONDS = 5.0
log = structlog.get_logger("oidc")


class IssuerKeys:
    """Keys by their `kid`. `fetch` gets a JSON document from an address."""

    def __init__(self, options: OidcOptions, clock: Clock, fetch: Fetch | None = None) -> None:
        self._options, self._clock = options, clock
        self._fetch = fetch or _fetcher(options)
        self._keys: dict[str, dict[str, Any]] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = anyio.Lock()

    def find(self, kid: str, algorithm: str) -> Key | None:
        """The key of that name, made for that algorithm; None when it is not known, or made for another."""
        found = self._keys.get(kid)
        return _made(found, algorithm) if found else None

    async def ensure(self, kid: str) -> None:
        """Fetch, when that key is not known or the known ones are old. What fails is told in the log."""
        async with self._lock:
            now = self._clock.monotonic()
            if kid in self._keys and now - self._fetched_at < FRESH_SECONDS:
                return
            if now - self._tried_at < PAUSE_SECONDS:
                return
            self._tried_at = now
            try:
                with anyio.fail_after(_WAIT_SECONDS):
                    self._keys = await self._fetched()
                self._fetched_at = now
            except (OSError, ValueError, KeyError, TypeError, TimeoutError) as error:
                # A key that was taken back must not be believed for ever because nobody answers.
                if now - self._fetched_at > 24 * FRESH_SECONDS:
                    self._keys = {}
                log.warning("the issuer's keys cannot be fetched", issuer=self._options.issuer, error=repr(error))

    async def _fetched(self) -> dict[str, dict[str, Any]]:
        base = self._options.issuer.rstrip("/")
        document = await self._fetch(f"{base}/.well-known/openid-configuration")
        if document["issuer"] != self._options.issuer:
            raise ValueError(f"it calls itself {str(document['issuer'])[:200]!r}")
        address = str(document["jwks_uri"])
        require_https(address)
        keys = (await self._fetch(address))["keys"][:_MOST_KEYS]
        return {str(key.get("kid", "")): key for key in keys if key.get("use", "sig") == "sig"}


def _made(key: dict[str, Any], algorithm: str) -> Key | None:
    """Its own `alg`, where it has one, must be that algorithm: one key never serves two."""
    kind = {"R": "RSA", "E": "EC"}[algorithm[0]]
    if key.get("kty") != kind or key.get("alg", algorithm) != algorithm:
        return None
    try:
        made = jwk.construct(key, algorithm)
    except (JOSEError, ValueError, KeyError, TypeError):
        return None
    prepared = getattr(made, "prepared_key", None)
    short = isinstance(prepared, RSAPublicKey) and prepared.key_size < _LEAST_RSA_BITS
    return None if short else made


def _fetcher(options: OidcOptions) -> Fetch:
    async def fetch(url: str) -> Any:
        import httpx  # where no issuer is, it is not needed

        trust = ssl.create_default_context(cafile=str(options.ca) if options.ca else None)
        client, body = httpx.AsyncClient(verify=trust, timeout=_WAIT_SECONDS, trust_env=False), b""
        try:
            async with client, client.stream("GET", url) as answer:
                answer.raise_for_status()
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > _MOST_BYTES:
                        raise ValueError("the document is too long")
        except httpx.HTTPError as failed:
            raise OSError(f"{type(failed).__name__}: {failed}") from failed
        return orjson.loads(body)

    return fetch
