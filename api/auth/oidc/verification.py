"""ID tokens of the issuer (OpenID Connect Core, 3.1.3.7): signature, issuer, audience, time, required claims.

Algorithms are pinned by the settings, never taken from the token; a key is only used for its own algorithm.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from jose import jwt
from jose.exceptions import JOSEError

from api.auth.oidc.keys import IssuerKeys
from api.auth.oidc.options import OidcOptions
from controller.kit.clock import Clock
from crds.errors import Unauthorized

SKEW_SECONDS = 60.0
_LONGEST_TOKEN, _LONGEST_NAME, _MOST_GROUPS = 16 * 1024, 253, 200
_REMEMBERED = 2048
_OURS_ALONE = ("system:", "aerekos:")
# Time is checked against our own clock; what the library would check besides is checked here.
_CHECKED = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_at_hash": False,
    "require_exp": True,
    "require_aud": True,
    "require_iss": True,
}


@dataclass(frozen=True, slots=True)
class Vouched:
    """The identity an issuer vouches for, until `ends_at` (seconds since 1970)."""

    name: str
    claim: str
    groups: frozenset[str]
    ends_at: float


class Verifier:
    """Tokens that were good are remembered until they end: checking an RSA signature takes its time."""

    def __init__(self, options: OidcOptions, keys: IssuerKeys, clock: Clock) -> None:
        self._options, self._keys, self._clock = options, keys, clock
        self._known: dict[bytes, Vouched] = {}

    def is_of_issuer(self, token: str) -> bool:
        """Whether the token says it is of the issuer. Nothing is proven by that."""
        if len(token) > _LONGEST_TOKEN:
            return False
        try:
            return bool(jwt.get_unverified_claims(token).get("iss") == self._options.issuer)
        except JOSEError:
            return False

    async def prepare(self, token: str) -> None:
        """Have the key the token names, if the issuer has it."""
        await self._keys.ensure(_head(token)[0])

    def verify(self, token: str) -> Vouched:
        """Raises Unauthorized with the reason in words."""
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is None:
            known = self._read(token)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[digest] = known
        if known.ends_at + SKEW_SECONDS <= self._clock.now().timestamp():
            raise Unauthorized("the ID token has expired; get a new one")
        return known

    def _read(self, token: str) -> Vouched:
        kid, algorithm = _head(token)
        if algorithm not in self._options.algorithms:
            raise Unauthorized(f"ID tokens signed by {algorithm[:20]!r} are not taken here")
        key = self._keys.find(kid, algorithm)
        if key is None:
            raise Unauthorized("the ID token was signed with a key the issuer does not show (now); try again")
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._options.client_id,
                issuer=self._options.issuer,
                options=_CHECKED,
            )
        except (JOSEError, ValueError, TypeError) as error:
            raise Unauthorized(f"the ID token is not valid: {error}") from error
        return self._vouched(claims)

    def _vouched(self, claims: dict[str, Any]) -> Vouched:
        ends_at = self._check_times(claims)
        audience = claims["aud"]
        if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != self._options.client_id:
            raise Unauthorized("the ID token was made for several clients, and not by ours (azp)")
        for name, wanted in self._options.required_claims.items():
            if claims.get(name) != wanted:
                raise Unauthorized(f"the ID token lacks the claim {name} this cloud requires")
        claim = claims.get(self._options.username_claim)
        if not isinstance(claim, str) or not claim or len(claim) > _LONGEST_NAME or not claim.isprintable():
            raise Unauthorized(f"the ID token names nobody in its claim {self._options.username_claim}")
        if self._options.username_claim == "email" and claims.get("email_verified", True) is not True:
            raise Unauthorized("the issuer did not verify this e-mail address")
        name = self._options.user_name(claim)
        if name.startswith(_OURS_ALONE):
            raise Unauthorized(f"no issuer vouches for {name}")
        return Vouched(name, claim, self._groups(claims), ends_at)

    def _check_times(self, claims: dict[str, Any]) -> float:
        now = self._clock.now().timestamp()
        ends, begins, made = claims["exp"], claims.get("nbf", 0), claims.get("iat", 0)
        if not all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in (ends, begins, made)):
            raise Unauthorized("the ID token's times are no numbers")
        if ends + SKEW_SECONDS <= now:
            raise Unauthorized("the ID token has expired; get a new one")
        if begins > now + SKEW_SECONDS or made > now + SKEW_SECONDS:
            raise Unauthorized("the ID token is not valid yet; is this machine's clock right?")
        return float(ends)

    def _groups(self, claims: dict[str, Any]) -> frozenset[str]:
        """None of ours: what an issuer calls its groups must never be a role here."""
        told = claims.get(self._options.groups_claim, []) if self._options.groups_claim else []
        given = [told] if isinstance(told, str) else told if isinstance(told, list) else []
        named = (self._options.group_name(each) for each in given[:_MOST_GROUPS] if isinstance(each, str))
        return frozenset(each for each in named if each and not each.startswith(_OURS_ALONE))


def _head(token: str) -> tuple[str, str]:
    """Key id and algorithm. Raises Unauthorized."""
    try:
        head = jwt.get_unverified_header(token)
    except JOSEError as error:
        raise Unauthorized("the ID token cannot be read") from error
    if "crit" in head:
        raise Unauthorized("the ID token demands what is not understood here (crit)")
    return str(head.get("kid", "")), str(head.get("alg", ""))
