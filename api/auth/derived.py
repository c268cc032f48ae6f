"""Secrets of services, workers and AWS users, derived from one master key instead of kept in many places.

secret = HMAC-SHA256(master key, purpose ":" identity ":" uid). Deleting and making the resource again gives it
a new uid, and so revokes every secret it had.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An AWS access key pair."""

    id: str
    secret: str


class DerivedSecrets:
    """`master` is 32 random bytes from a file that is not in the store."""

    def __init__(self, master: bytes) -> None:
        self._master = master

    def client_secret(self, client_id: str, uid: str, generation: int = 0) -> str:
        """What `service:<name>` or `worker:<name>` proves itself with; another one in each generation."""
        return _text(self._derive("client", client_id, f"{uid}\x00{generation}" if generation else uid))

    def client_secret_fits(self, client_id: str, uid: str, generation: int, given: str) -> bool:
        """Compared in constant time."""
        return hmac.compare_digest(self.client_secret(client_id, uid, generation).encode(), given.encode())

    def access_key(self, user: str, uid: str) -> AccessKey:
        """20 characters of id and 40 of secret, the shape AWS tools expect."""
        name = base64.b32encode(self._derive("access-key-id", user, uid)).decode()[:16]
        secret = base64.b64encode(self._derive("access-key", user, uid) + b"aerekos")[:40].decode()
        return AccessKey(f"AKIA{name}", secret)

    def sealing_key(self, purpose: str) -> bytes:
        """32 bytes to seal small things of that purpose with."""
        return self._derive("seal", purpose, "")

    def further_access_key(self, user: str, uid: str, key_id: str) -> AccessKey:
        """One beside the first, of a random id."""
        secret = base64.b64encode(self._derive("access-key", user, f"{uid}\x00{key_id}") + b"aerekos")[:40].decode()
        return AccessKey(key_id, secret)

    def _derive(self, purpose: str, identity: str, uid: str) -> bytes:
        message = "\x00".join((purpose, identity, uid)).encode()
        return hmac.new(self._master, message, hashlib.sha256).digest()


def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The AWS Signature Version 4 key of one day, region and service (AWS docs, "Calculate the signature")."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
