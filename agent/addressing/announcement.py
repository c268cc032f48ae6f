"""Announcements: "I am at this address now", signed. Pure.

One UDP datagram of JSON: `{"worker", "identity", "address", "sequence", "signature"}`. Ed25519 (RFC 8032) over the
JSON of the other four, keys sorted and without spaces. A higher sequence replaces a lower one: replays are harmless.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

LARGEST_PACKET = 1024
_LARGEST_SEQUENCE = 2**53
_EVERYBODY = IPv4Address("255.255.255.255")


@dataclass(frozen=True, slots=True)
class Announcement:
    """`identity`: the address Swarm knows the worker by. `address`: where it is now."""

    worker: str
    identity: str
    address: str
    sequence: int

    def signed(self, key: Ed25519PrivateKey) -> bytes:
        """The datagram."""
        signature = base64.b64encode(key.sign(_message(self))).decode()
        return json.dumps({**asdict(self), "signature": signature}).encode()


def parse(packet: bytes) -> tuple[Announcement, bytes]:
    """Return what a datagram claims, and its signature. Raises ValueError for what is no announcement."""
    if len(packet) > LARGEST_PACKET:
        raise ValueError("too large")
    try:
        told = json.loads(packet.decode())  # as UTF-8 only: what is believed is kept and passed on as text
        signature = base64.b64decode(told["signature"], validate=True)
        worker, sequence = told["worker"], told["sequence"]
        identity, address = machine_address(told["identity"]), machine_address(told["address"])
    except (TypeError, KeyError, RecursionError) as odd:
        raise ValueError("no announcement") from odd
    if not isinstance(worker, str) or type(sequence) is not int or not 0 < sequence < _LARGEST_SEQUENCE:
        raise ValueError("no announcement")
    return Announcement(worker, identity, address, sequence), signature


def machine_address(told: object) -> str:
    """An IPv4 address one machine can have on a network. Raises ValueError for all others.

    Whoever is believed to be at 127.0.0.1 would have everybody's own connections translated.
    """
    if not isinstance(told, str):
        raise ValueError("no address")
    address = IPv4Address(told)
    if address.is_loopback or address.is_multicast or address.is_unspecified or address == _EVERYBODY:
        raise ValueError(f"{told} is no address of a machine")
    return str(address)


def is_by(announcement: Announcement, signature: bytes, public_key: bytes) -> bool:
    """Return whether the holder of that key made it. Costs a tenth of a millisecond: ask cheaper questions first."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, _message(announcement))
    except (InvalidSignature, ValueError):
        return False
    return True


def _message(announcement: Announcement) -> bytes:
    return json.dumps(asdict(announcement), sort_keys=True, separators=(",", ":")).encode()
