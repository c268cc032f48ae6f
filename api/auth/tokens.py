"""JSON Web Tokens (RFC 7519): short-lived, ES256 only, signed with keys that rotate by `kid`."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
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
STS_AUDIENCE = "sts.amazonaws.com"  # good for becoming a role and nothing else
REGISTRY_AUDIENCE = "registry"  # good for /v2/ and nothing else
ALGORITHM = "ES256"
_REMEMBERED = 4096
_LONGEST_SECONDS = 367 * 86400
# The library would ask the machine's clock; ours is asked instead.
_CHECKED = {"verify_exp": False, "require_exp": True, "require_aud": True, "require_iss": True, "require_sub": True}


ROTATE_EVERY = timedelta(days=30)
# What is noted of a key's last token is rounded up to this, so that it is written seldom.
_NOTED_SECONDS = 3600


class TokenKeys:
    """The signing keys under a folder, one PEM file each, named `<kid>.pem`. The newest signs; all verify.

    Beside each lies `<kid>.until`: when the last token it signed ends. A key that no longer signs goes then. The keys
    in the folder `beside` are those of another program: they verify here and never sign.
    """

    def __init__(self, folder: Path, beside: Path | None = None) -> None:
        self._folder, self._ends, self.version = folder, dict[str, float](), 0
        self._beside, self._theirs, self._seen = beside, dict[str, Any](), (0, 0)
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

    def look_after(self, now: datetime) -> bool:
        """A new key when the newest has signed long enough, and away with those whose tokens have all ended. Whether
        anything changed.
        """
        made = datetime.fromtimestamp((self._folder / f"{self.newest}.pem").stat().st_mtime, UTC)
        old = now - made >= ROTATE_EVERY
        if old:
            self.rotate()
        dead = [kid for kid in self._private if kid != self.newest and self._until(kid) <= now.timestamp()]
        self._forget(dead)
        return old or bool(dead)

    def revoke_old(self) -> None:
        """Away with all keys but the newest: what they signed is worth nothing from now on."""
        self._forget([kid for kid in self._private if kid != self.newest])

    def _forget(self, kids: Sequence[str]) -> None:
        for kid in kids:
            (self._folder / f"{kid}.pem").unlink(missing_ok=True)
            (self._folder / f"{kid}.until").unlink(missing_ok=True)
        if kids:
            self._load()

    def _until(self, kid: str) -> float:
        """When the last token of that key ends. One of a version that did not note it may have signed for a year."""
        if kid not in self._ends:
            file = self._folder / f"{kid}.until"
            try:
                self._ends[kid] = float(file.read_text())
            except (OSError, ValueError):
                self._ends[kid] = (self._folder / f"{kid}.pem").stat().st_mtime + _LONGEST_SECONDS
        return self._ends[kid]

    def _note_end(self, exp: float) -> None:
        file = self._folder / f"{self.newest}.until"
        known = self._ends.get(self.newest) or (self._until(self.newest) if file.exists() else 0.0)
        if exp > known:
            self._ends[self.newest] = exp + _NOTED_SECONDS
            write_private(file, str(exp + _NOTED_SECONDS).encode())

    def _load(self) -> None:
        files = sorted(self._folder.glob("*.pem"), key=lambda file: (file.stat().st_mtime_ns, file.name))
        self._private = {file.stem: jwk.construct(file.read_text(), ALGORITHM) for file in files}
        self.newest = files[-1].stem
        self._public = {kid: key.public_key() for kid, key in self._private.items()}
        self.version += 1
        self._ends = {kid: end for kid, end in self._ends.items() if kid in self._private}
        beside = self._beside.glob("*.pem") if self._beside else ()
        self._theirs = {file.stem: jwk.construct(file.read_text(), ALGORITHM).public_key() for file in beside}
        self._seen = self._changed_at()

    def refresh(self) -> None:
        """Read the keys again that another process has made or taken away."""
        if self._changed_at() != self._seen:
            self._load()

    def _changed_at(self) -> tuple[int, int]:
        return _changed(self._folder), _changed(self._beside) if self._beside else 0

    def sign(self, claims: dict[str, Any]) -> str:
        """The compact form of `claims`, signed with the newest key."""
        self._note_end(float(claims.get("exp", 0)))
        token: str = jwt.encode(claims, self._private[self.newest], ALGORITHM, headers={"kid": self.newest})
        return token

    def verify(self, token: str, audience: str) -> dict[str, Any]:
        """The claims, whose end the caller judges. Raises Unauthorized with the reason in words."""
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = self._key(kid) if isinstance(kid, str) else None
            if key is None:
                raise Unauthorized("the token was signed with a key this cloud does not know; log in again")
            claims: dict[str, Any] = jwt.decode(token, key, [ALGORITHM], _CHECKED, audience=audience, issuer=ISSUER)
        except JOSEError as error:
            raise Unauthorized(f"the token is not valid: {error}; log in again") from error
        return claims

    def _key(self, kid: str) -> Any:
        if kid not in self._public and kid not in self._theirs:
            self.refresh()
        return self._public.get(kid) or self._theirs.get(kid)

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JSON Web Key Set (RFC 7517)."""
        keys = []
        self.refresh()
        for kid, key in (self._public | self._theirs).items():
            fields = {name: _str(value) for name, value in key.to_dict().items()}
            keys.append({**fields, "kid": kid, "use": "sig", "alg": ALGORITHM})
        return {"keys": keys}


class Tokens:
    """Issues tokens for principals and reads them back. Verified tokens are remembered until they expire."""

    def __init__(self, keys: TokenKeys, clock: Clock) -> None:
        self.keys, self.clock, self._version = keys, clock, keys.version
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
        """The principal a token names, as it says itself. Raises Unauthorized."""
        claims = self.claims(token, audience)
        groups = frozenset(claims["groups"]) | {AUTHENTICATED}
        return Principal(claims["sub"], groups, claims.get("ns", "default"), uid=str(claims.get("uid", "")))

    def claims(self, token: str, audience: str, *, expired: bool = False) -> dict[str, Any]:
        """Everything a good token says; shared, do not change it. Raises Unauthorized. `expired`: its end does not
        count, for whoever judges what it is bound to.
        """
        if self._version != self.keys.version:  # what was signed with a key that is gone is worth nothing
            self._known.clear()
            self._version = self.keys.version
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


def _changed(folder: Path) -> int:
    """When files came to that folder or went, in nanoseconds; 0 where there is none."""
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def _str(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
