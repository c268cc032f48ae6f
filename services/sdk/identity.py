"""The identity of callers: the `X-Aerekos-Identity` token the gateway puts on every request, verified and remembered.

The token is a JWT: ES256 and nothing else, `iss=aerekos`, `aud` this service's name. Keys come from the conductor's
JWKS; an unknown `kid` makes us look again, at most once in `REFRESH_SECONDS`, so that nonsense tokens cost nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.kit.clock import Clock
from crds.errors import Unauthorized

HEADER = "x-aerekos-identity"
ON_BEHALF_OF = "X-Aerekos-On-Behalf-Of"
ISSUER = "aerekos"
ALGORITHM = "ES256"
REFRESH_SECONDS = 5.0
SERVICE_PREFIX = "system:service:"
ANONYMOUS = "system:anonymous"
_REMEMBERED = 4096
_LONGEST_CHAIN = 8


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified caller. `namespace` is where their AWS calls land; `access_key` what they signed with, if they did;
    `through` the services that act for them, the nearest first. `proven_by` is that key also where others act for
    them: sessions of one name may differ in what they may. `token` is their identity as it came: whoever does
    something in their name hands it back.
    """

    name: str
    groups: tuple[str, ...] = ()
    namespace: str = "default"
    access_key: str = ""
    through: tuple[str, ...] = ()
    proven_by: str = ""
    token: str = field(default="", compare=False, repr=False)

    @property
    def anonymous(self) -> bool:
        """Whether nobody knows who it is."""
        return self.name == ANONYMOUS

    @property
    def service(self) -> str:
        """The calling managed service's name (`notes-manager`), or empty."""
        return self.name.removeprefix(SERVICE_PREFIX) if self.name.startswith(SERVICE_PREFIX) else ""


class IdentityVerifier:
    """Turns tokens into callers. `fetch_jwks` gets the conductor's JSON Web Key Set."""

    def __init__(self, fetch_jwks: Callable[[], Awaitable[dict[str, Any]]], audience: str, clock: Clock) -> None:
        self._fetch, self._audience, self._clock = fetch_jwks, audience, clock
        self._keys: dict[str, dict[str, Any]] = {}
        self._fetched_at = float("-inf")
        self._lock = asyncio.Lock()
        self._known: dict[str, tuple[Caller, float]] = {}

    async def verify(self, token: str) -> Caller:
        """The caller. Raises Unauthorized; ApiError (Unavailable) when the keys cannot be had."""
        now = self._clock.now().timestamp()
        known = self._known.get(token)
        if known and known[1] > now:
            return known[0]
        caller, expires = self._read(token, await self._key(token))
        if expires <= now:
            raise Unauthorized("the identity token has expired")
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[token] = (caller, expires)
        return caller

    async def warm(self) -> None:
        """Fetch the keys before the first request needs them."""
        await self._refresh("")

    async def _key(self, token: str) -> dict[str, Any]:
        from jose import jwt
        from jose.exceptions import JOSEError

        try:
            kid = str(jwt.get_unverified_header(token).get("kid", ""))
        except JOSEError as error:
            raise Unauthorized(f"the identity token cannot be read: {error}") from error
        if kid not in self._keys:
            await self._refresh(kid)
        if kid not in self._keys:
            raise Unauthorized("the identity token was signed with an unknown key")
        return self._keys[kid]

    async def _refresh(self, kid: str) -> None:
        async with self._lock:
            if kid in self._keys or self._clock.monotonic() - self._fetched_at < REFRESH_SECONDS:
                return
            found = await self._fetch()
            self._fetched_at = self._clock.monotonic()
            self._keys = {str(key.get("kid", "")): key for key in found.get("keys", [])}

    def _read(self, token: str, key: dict[str, Any]) -> tuple[Caller, float]:
        from jose import jwt
        from jose.exceptions import JOSEError

        # Expiry is checked by the caller of this, against the injected clock. (What is required, jose also verifies.)
        options = {"require_aud": True, "require_sub": True, "verify_exp": False}
        try:
            claims = jwt.decode(
                token, key, algorithms=[ALGORITHM], audience=self._audience, issuer=ISSUER, options=options
            )
        except JOSEError as error:
            raise Unauthorized(f"the identity token is not valid: {error}") from error
        if not isinstance(expires := claims.get("exp"), int | float):
            raise Unauthorized("the identity token is not valid: it does not say when it expires")
        groups = tuple(str(each) for each in claims.get("groups") or ())
        namespace, through = str(claims.get("ns") or "default"), actors_of(claims)
        # What a service passes on was signed for that service: this request carries no signature.
        proven_by = str(claims.get("akid") or "")
        signed_with = "" if through else proven_by
        caller = Caller(str(claims["sub"]), groups, namespace, signed_with, through, proven_by, token)
        return caller, float(expires)


def actors_of(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Those who act for the subject, the nearest first (RFC 8693, `act`)."""
    found: list[str] = []
    act = claims.get("act")
    while isinstance(act, dict) and len(found) < _LONGEST_CHAIN:
        found.append(str(act.get("sub", "")))
        act = act.get("act")
    return tuple(found)
