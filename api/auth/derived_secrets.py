"""Secrets of services, workers and AWS users, derived from a master key instead of kept in many places.

secret = HMAC-SHA256(master key, purpose ":" identity ":" uid). Deleting and making the resource again gives it
a new uid, and so revokes every secret it had. The master key has generations: the newest derives, what older ones
derived is good as long as they are held.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass

from controller.kit.generations import Generation, parse

_REMEMBERED = 4096
_TOKEN_FORMAT = b"\x01"  # of session tokens, before what is derived


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An AWS access key pair."""

    id: str
    secret: str


@dataclass(frozen=True, slots=True)
class TemporaryKey:
    """An AWS access key pair that counts together with its session token."""

    id: str
    secret: str
    token: str


class DerivedSecrets:
    """`master`: what is in a key file that is not in the store, or its generations."""

    def __init__(self, master: bytes | tuple[Generation, ...]) -> None:
        self.version = 0
        """Another one after each `use`."""
        self.use(parse(master) if isinstance(master, bytes) else master)

    def use(self, held: tuple[Generation, ...]) -> None:
        """Derive with these from now on, the newest first."""
        self._masters = {each.number: each.key for each in held}
        self._access_keys: dict[tuple[str, str, int], AccessKey] = {}
        self.version += 1
        self.newest, self.oldest = held[0].number, held[-1].number

    def holds(self, master: int) -> bool:
        """Whether what that generation derived still counts."""
        return master in self._masters

    def client_secret(self, client_id: str, uid: str, generation: int = 0) -> str:
        """The secret `service:<name>` or `worker:<name>` proves itself with; another one in each generation."""
        return self._client_secret(client_id, uid, generation, self.newest)

    def client_secret_fits(self, client_id: str, uid: str, generation: int, given: str) -> bool:
        """Whether any generation we hold derived it. Compared in constant time."""
        right = (self._client_secret(client_id, uid, generation, each) for each in self._masters)
        return any(hmac.compare_digest(each.encode(), given.encode()) for each in right)

    def workload_token(self, namespace: str, service: str, uid: str) -> str:
        """What a Service with a role gets its temporary credentials with."""
        return self.client_secret(f"workload:{namespace}/{service}", uid)

    def workload_token_fits(self, namespace: str, service: str, uid: str, given: str) -> bool:
        """Whether any generation we hold derived it. Compared in constant time."""
        return self.client_secret_fits(f"workload:{namespace}/{service}", uid, 0, given)

    def access_key(self, user: str, uid: str, master: int | None = None) -> AccessKey:
        """20 characters of id and 40 of secret, the shape AWS tools expect.

        Without `master`, of the oldest generation we hold: a user's first key stays what it is until that is dropped.
        """
        master = self.oldest if master is None else master
        whose = (user, uid, master)
        if whose not in self._access_keys:  # each signed request asks
            if len(self._access_keys) >= _REMEMBERED:
                self._access_keys.clear()
            self._access_keys[whose] = self._first_access_key(user, uid, master)
        return self._access_keys[whose]

    def _first_access_key(self, user: str, uid: str, master: int) -> AccessKey:
        name = base64.b32encode(self._derive("access-key-id", user, uid, master)).decode()[:16]
        secret = base64.b64encode(self._derive("access-key", user, uid, master) + b"aerekos")[:40].decode()
        return AccessKey(f"AKIA{name}", secret)

    def sealing_keys(self, purpose: str) -> list[bytes]:
        """32 bytes to seal small things of that purpose with, the newest first; the others open what is older."""
        return [self._derive("seal", purpose, "", each) for each in sorted(self._masters, reverse=True)]

    def further_access_key(self, user: str, uid: str, key_id: str, master: int) -> AccessKey:
        """One beside the first, of a random id."""
        derived = self._derive("access-key", user, f"{uid}\x00{key_id}", master)
        return AccessKey(key_id, base64.b64encode(derived + b"aerekos")[:40].decode())

    def temporary_key(self, key_id: str, uid: str, master: int) -> TemporaryKey:
        """The pair of a temporary credential, and the token without which the pair is worth nothing."""
        secret = base64.b64encode(self._derive("temporary-key", key_id, uid, master) + b"aerekos")[:40].decode()
        token = _TOKEN_FORMAT + self._derive("session-token", key_id, uid, master)
        return TemporaryKey(key_id, secret, base64.b64encode(token).decode())

    def _client_secret(self, client_id: str, uid: str, generation: int, master: int) -> str:
        return _text(self._derive("client", client_id, f"{uid}\x00{generation}" if generation else uid, master))

    def _derive(self, purpose: str, identity: str, uid: str, master: int) -> bytes:
        message = "\x00".join((purpose, identity, uid)).encode()
        return hmac.new(self._masters[master], message, hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
