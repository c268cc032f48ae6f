"""This machine as a peer: its key, its identity address, where it is now, and how often it has moved."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.addressing.announcement import Announcement
from agent.addressing.nat_rules import PeerAddress
from controller.kit.files import write_private


@dataclass
class LocalPeer:
    """Kept in `file`: the private key, the last address and its sequence, which only grows."""

    file: Path
    worker: str
    identity: str
    key: Ed25519PrivateKey
    address: str
    sequence: int

    @property
    def peer_address(self) -> PeerAddress:
        return PeerAddress(self.identity, self.address, self.worker, self.sequence)

    @property
    def public_key(self) -> str:
        return base64.b64encode(self.key.public_key().public_bytes_raw()).decode()

    @property
    def announcement(self) -> bytes:
        """The datagram to send."""
        return Announcement(self.worker, self.identity, self.address, self.sequence).signed(self.key)

    def move_to(self, address: str, milliseconds: int) -> None:
        """Call `save` before anybody is told: a sequence must never be used twice."""
        self.address, self.sequence = address, max(milliseconds, self.sequence + 1)

    def save(self) -> None:
        """Blocking."""
        seed = base64.b64encode(self.key.private_bytes_raw()).decode()
        kept = {"key": seed, "identity": self.identity, "address": self.address, "sequence": self.sequence}
        write_private(self.file, json.dumps(kept).encode())


def load_local_peer(file: Path, worker: str, identity: str) -> LocalPeer:
    """Load it from `file`: with a new key when there is none, at home when the identity address has changed."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(kept["key"]))
        known = LocalPeer(file, worker, str(kept["identity"]), key, str(kept["address"]), int(kept["sequence"]))
    except (OSError, KeyError, TypeError, ValueError):
        known = LocalPeer(file, worker, "", Ed25519PrivateKey.generate(), "", 0)
    if known.identity != identity:
        known.identity = known.address = identity
        known.save()
    return known
