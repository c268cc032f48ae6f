"""JSON Web Tokens (RFC 7519): short-lived, ES256 only, signed with keys that rotate by `kid`."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jose import jwk, jwt
from jose.exceptions import JOSEError

from api.auth.principal import AUTHENTICATED, Principal
from controller.kit.clock import Clock
from controller.kit.files import write_private
from crds.errors import Unauthorized

ISSUER = "aerekos"
API_AUDIENCE = "api"
REGISTRY_AUDIENCE = "registry"  # good for /v2/ and nothing else
ALGORITHM = "ES256"
_REMEMBERED = 4096
# The library would ask the machine's clock; ours is asked instead.
_CHECKED = {"verify_exp": False, "require_exp": True, "require_aud": True, "require_iss": True, "require_sub": True}


class TokenKeys:
    """The signing keys under a folder, one PEM file each, named `<kid>.pem`. The newest signs; all verify."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not list(folder.glob("*.pem")):
            self.rotate()
        self._load()

    def rotate(self) -> str:
        """Make a new signing key; older ones go on verifying. Returns its kid."""
        kid = secrets.token_hex(8)
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_private(self._folder / f"{kid}.pem", pem)
        self._load()
        return kid

    def _load(self) -> None:
        files = sorted(self._folder.glob("*.pem"), key=lambda file: (file.stat().st_mtime_ns, file.name))
        self._private = {file.stem: jwk.construct(file.read_text(), ALGORITHM) for file in files}
        self.newest = files[-1].stem
        self._public = {kid: key.public_key() for kid, key in self._private.items()}

    def sign(self, claims: dict[str, Any]) -> str:
        """The compact form of `claims`, signed with the newest key."""
        token: str = jwt.encode(claims, self._private[self.newest], ALGORITHM, headers={"kid": self.newest})
        return token

    def verify(self, token: str, audience: str) -> dict[str, Any]:
        """The claims, whose end the caller judges. Raises Unauthorized with the reason in words."""
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            if not isinstance(kid, str) or kid not in self._public:
                raise Unauthorized("the token was signed with a key this cloud does not know; log in again")
            claims: dict[str, Any] = jwt.decode(
                token, self._public[kid], [ALGORITHM], _CHECKED, audience=audience, issuer=ISSUER
            )
        except JOSEError as error:
            raise Unauthorized(f"the token is not valid: {error}; log in again") from error
        return claims

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JSON Web Key Set (RFC 7517)."""
        keys = []
        for kid, key in self._public.items():
            fields = {name: _str(value) for name, value in key.to_dict().items()}
            keys.append({**fields, "kid": kid, "use": "sig", "alg": ALGORITHM})
        return {"keys": keys}


class Tokens:
    """Issues tokens for principals and reads them back. Verified tokens are remembered until they expire."""

    def __init__(self, keys: TokenKeys, clock: Clock) -> None:
        self.keys, self.clock = keys, clock
        self._known: dict[tuple[str, str], dict[str, Any]] = {}

    def issue(self, who: Principal, *, seconds: int, audience: str = API_AUDIENCE, **extra: Any) -> str:
        """A token that says `who` to `audience` for that many seconds."""
        now = int(self.clock.now().timestamp())
        return self.keys.sign(
            {
                "iss": ISSUER,
                "sub": who.name,
                "groups": sorted(who.groups),
                "ns": who.namespace,
                "aud": audience,
                "iat": now,
                "exp": now + seconds,
                "jti": secrets.token_hex(8),
                **extra,
            }
        )

    def read(self, token: str, audience: str = API_AUDIENCE) -> Principal:
        """Who the token names, as it says itself. Raises Unauthorized."""
        claims = self.claims(token, audience)
        groups = frozenset(claims["groups"]) | {AUTHENTICATED}
        return Principal(claims["sub"], groups, claims.get("ns", "default"), uid=str(claims.get("uid", "")))

    def claims(self, token: str, audience: str, *, expired: bool = False) -> dict[str, Any]:
        """Everything a good token says; shared, do not change it. Raises Unauthorized. `expired`: its end does not
        count, for whoever judges what it is bound to.
        """
        known = self._known.get((token, audience))
        if known is None:
            known = self.keys.verify(token, audience)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[token, audience] = known
        if not expired and known["exp"] <= self.clock.now().timestamp():
            self._known.pop((token, audience), None)
            raise Unauthorized("the token has expired; log in again")
        return known


def _str(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
